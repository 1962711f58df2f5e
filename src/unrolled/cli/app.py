"""The commands' common roof: one app, and one way for errors to reach a person."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Annotated, NoReturn

import typer

import unrolled
from unrolled.cli.commands import Roof
from unrolled.cli.console import say
from unrolled.cli.options import ENVIRONMENT_HELP
from unrolled.errors import UnrolledError

app = typer.Typer(
    name="unrolled",
    cls=Roof,
    help="Caption photos on a plain CPU, and train captioners on photos of your own.",
    epilog=f"Example: unrolled caption holiday.jpg\n\n{ENVIRONMENT_HELP}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Caption photos on a plain CPU, and train captioners on photos of your own."""
    if show:
        print(f"unrolled {unrolled.__version__}")
        raise typer.Exit


def main(roof: typer.Typer = app) -> None:
    """Run a command line; what a person did wrong is said in words, with exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        try:
            roof()
        finally:  # not left to the interpreter's end, which can say nothing but a traceback
            sys.stdout.flush()
    except UnrolledError as error:
        _fail(str(error))
    except MemoryError as error:
        _fail(f"not enough memory. {error}".rstrip())
    except KeyboardInterrupt:
        say("stopped.")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        _let_go_of_stdout()
        sys.exit(141)
    except OSError as error:
        _let_go_of_stdout()
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    say(f"error: {message}")
    sys.exit(2)


def _let_go_of_stdout() -> None:
    """Where stdout takes no more, send the rest nowhere, so that the interpreter ends in peace."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):  # a stdout that is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
