"""``unrolled bench``: how fast it is on this machine, beside what the machine can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from unrolled import plots
from unrolled.cli.console import Bar, print_table, say
from unrolled.cli.options import ENVIRONMENT_HELP
from unrolled.errors import InputError
from unrolled.jobs.bench import Measuring, Plan, Results, Settings, measure, ours_alone
from unrolled.jobs.bench.growth import figure
from unrolled.jobs.bench.tables import tables
from unrolled.jobs.events import Note
from unrolled.plots.canvas import SUFFIXES

EXAMPLE = f"""Examples:

unrolled bench --quick

unrolled bench --only step --case a --threads 1 --json bench.json

unrolled bench --only step --case N=64,T=20,D=1280,W=256,H=1024,V=5000,valid=0.6

The peers, PyTorch among them, are in the repository: python -m benchmarks

{ENVIRONMENT_HELP}
"""

QUICK_ROUNDS, QUICK_CASES = 3, ("a",)
DEFAULT = Plan()

Only = Annotated[
    list[str] | None,
    typer.Option(help="limit, step, decode, epoch, memory or plot; may be given several times."),
]
Cases = Annotated[
    list[str] | None,
    typer.Option(
        "--case",
        help="a, b, c or d, or b with other sizes, N=64,H=1024; may be given several times.",
    ),
]
Cells = Annotated[
    list[str] | None, typer.Option("--cell", help="lstm or rnn; may be given several times.")
]
Names = Annotated[
    list[str] | None,
    typer.Option(help="Settings that have this in their name only; may be given several times."),
]
Rounds = Annotated[
    int | None, typer.Option(help="Times that every setting has its turn.", show_default="15")
]
Threads = Annotated[
    int | None, typer.Option(help="Of every library, on as many cores; all unless given.")
]
CpuSeconds = Annotated[
    bool,
    typer.Option("--cpu-seconds", help="One thread and its CPU time: steadier on a busy machine."),
]


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(command(ours_alone))


def command(settings: Settings) -> Callable[..., None]:
    """Make the command that measures these settings.

    Parameters
    ----------
    settings : callable
        A work to those who do it.

    Returns
    -------
    callable
        For typer.
    """

    def bench(
        only: Only = None,
        case: Cases = None,
        cell: Cells = None,
        setting: Names = None,
        rounds: Rounds = None,
        threads: Threads = None,
        quick: Annotated[bool, typer.Option("--quick", help="A fast look at little.")] = False,
        cpu_seconds: CpuSeconds = False,
        flickr8k: Annotated[
            Path | None, typer.Option(help="Flickr8k's folder; else its lengths are drawn.")
        ] = None,
        json: Annotated[Path | None, typer.Option(help="Write all there is to this file.")] = None,
        plot: Annotated[
            Path | None,
            typer.Option(help="Draw time by batch, length and words: .png or .svg."),
        ] = None,
    ) -> None:
        """Measure training steps and decoding here, in interleaved rounds."""
        parts = tuple(only or DEFAULT.parts)
        plan = Plan(
            parts=(*parts, "plot") if plot and "plot" not in parts else parts,
            cases=tuple(case or (QUICK_CASES if quick else DEFAULT.cases)),
            cells=tuple(cell or DEFAULT.cells),
            rounds=(QUICK_ROUNDS if quick else DEFAULT.rounds) if rounds is None else rounds,
            threads=1 if cpu_seconds and threads is None else threads,
            clock="cpu" if cpu_seconds else "wall",
            quick=quick,
            flickr8k=flickr8k,
        )
        _check_writable(json, plot)
        results = _watch(measure(plan, _named(settings, setting)), json)
        _show(results)
        if plot:
            plots.save_figure(figure(results), plot)
            say(f"wrote {plot}.")

    return bench


def _named(settings: Settings, names: list[str] | None) -> Settings:
    """Leave the settings that are asked for."""
    if not names:
        return settings
    return lambda work: [s for s in settings(work) if any(name in s.name for name in names)]


def _check_writable(json: Path | None, plot: Path | None) -> None:
    """Say before the work, not after it, that its results have no place."""
    for path in filter(None, (json, plot)):
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise InputError(f"{path}: no file can be written there; name one in a folder there is")
    if plot:
        if plot.suffix.lower() not in SUFFIXES:
            raise InputError(f"{plot}: a picture is {' or '.join(SUFFIXES)}; name it so")
        plots.check_installed()


def _watch(events: Iterator[Measuring | Note | Results], json: Path | None) -> Results:
    """Show how far it is, and keep what was measured: an hour's work may be stopped."""
    results = Results({}, [])
    with Bar("Measuring") as bar:
        for event in events:
            if isinstance(event, Measuring):
                bar.update(event.done, event.total, event.what)
            elif isinstance(event, Note):
                say(f"note: {event.text}")
            else:
                results = event
                if json:
                    results.write(json)
    return results


def _show(results: Results) -> None:
    machine = results.machine
    cpu, kernels, versions = machine["cpu"], machine["kernels"], machine["versions"]
    print(f"{cpu['name']}, {' '.join(cpu['instructions'])}")
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    print(f"{threads} on as many cores; kernels: {kernels['path']}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    for table in tables(results):
        print(f"\n{table.title}")
        print_table(table.headings, table.rows)
