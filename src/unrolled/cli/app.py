"""The commands' common roof: one app, and one way for errors to reach a person."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import unrolled
from unrolled.cli import caption, evaluate, features, model, train
from unrolled.errors import UnrolledError

app = typer.Typer(
    name="unrolled",
    help="Caption photos on a plain CPU, and train captioners on photos of your own.",
    epilog="Example: unrolled caption holiday.jpg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (caption, features, train, evaluate, model):
    module.add_to(app)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Caption photos on a plain CPU, and train captioners on photos of your own."""
    if show:
        print(f"unrolled {unrolled.__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; what a person did wrong is said in words, with exit status 2."""
    try:
        app()
    except UnrolledError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
