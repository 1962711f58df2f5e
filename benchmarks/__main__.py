"""Measure Unrolled and its peers: ``python -m benchmarks --help``."""

from __future__ import annotations

import typer

from benchmarks.peers import settings
from benchmarks.report import report
from unrolled.cli.app import main
from unrolled.cli.bench import command

app = typer.Typer(
    name="benchmarks",
    help="Measure Unrolled beside its peers, and report what was measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(
    "run",
    epilog="Example: python -m benchmarks run --only step --case a --cpu-seconds --rounds 5",
)(command(settings))
app.command(epilog="Example: python -m benchmarks report step.json decode.json")(report)

if __name__ == "__main__":
    main(app)
