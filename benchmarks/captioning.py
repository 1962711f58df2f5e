"""Measure photos captioned per second: ``python -m benchmarks.captioning``.

The command as a person gives it, decoding and start included, and once started; beside that of
another version where its Python is named, in turns, so that what else the machine does falls on
both. Wants the photos of Flickr8k's dev split.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from PIL import Image

from benchmarks.serving import CODE, FLICKR8K, dev_photos
from unrolled.cli.app import main
from unrolled.vision.photos import load_photo
from unrolled.vision.runtime import available_cpus

SIDE = 224

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Taken(NamedTuple):
    """Seconds that a command took, by the clock and of all CPUs."""

    wall: float
    cpu: float


def caption(python: str, photos: Path, beam: int) -> tuple[Taken, bytes]:
    """Run one version's command; gives what it took and what it printed."""
    command = [python, "-c", CODE, "caption", str(photos), "--beam", str(beam), "--csv"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    printed = subprocess.run(command, check=True, capture_output=True).stdout
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall, cpu), printed


def write_squares(paths: Sequence[Path], folder: Path) -> None:
    """Write photos as JPEGs of SIDE x SIDE pixels."""
    folder.mkdir()
    for path in paths:
        Image.fromarray(load_photo(path, SIDE)).save(folder / path.name, quality=90)


def measure(
    pythons: Sequence[str], photos: Path, beam: int, rounds: int
) -> tuple[dict[str, list[tuple[Taken, Taken]]], bool]:
    """Caption all photos and one alone, each version in turn; and whether all say the same."""
    taken: dict[str, list[tuple[Taken, Taken]]] = {python: [] for python in pythons}
    one, said = min(photos.iterdir()), set()
    for number in range(rounds):
        for python in pythons if number % 2 == 0 else reversed(pythons):
            everything, printed = caption(python, photos, beam)
            taken[python].append((everything, caption(python, one, beam)[0]))
            said.add(printed)
            print(f"{number + 1}: {python}: {everything.wall:.2f} s", file=sys.stderr)
    return taken, len(said) == 1


def row(python: str, times: Sequence[tuple[Taken, Taken]], count: int) -> str:
    """Write a version's line of the table."""
    rates = [count / everything.wall for everything, _ in times]
    started = [(count - 1) / (everything.wall - one.wall) for everything, one in times]
    spent = [1000 * everything.cpu / count for everything, _ in times]
    cells = [f"{statistics.median(each):.1f} ({max(each):.1f})" for each in (rates, started)]
    return f"| {python} | {' | '.join(cells)} | {statistics.median(spent):.1f} ({min(spent):.1f}) |"


@app.command(epilog="Example: python -m benchmarks.captioning --beside ../before/bin/python")
def captioning(
    flickr8k: Annotated[Path, typer.Option(help="Where its photos are.")] = FLICKR8K,
    count: Annotated[int, typer.Option(help="Photos.")] = 400,
    beam: Annotated[int, typer.Option(help="Width.")] = 3,
    rounds: Annotated[int, typer.Option(help="Turns that are taken.")] = 5,
    beside: Annotated[
        list[str] | None, typer.Option(help="The Python of another version, to take turns with.")
    ] = None,
) -> None:
    """Measure `unrolled caption` on many small photos."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as made:
        photos = Path(made) / "photos"
        write_squares(dev_photos(flickr8k, count), photos)
        taken, same = measure([sys.executable, *(beside or [])], photos, beam, rounds)
    print(f"{count} photos of {SIDE} x {SIDE} pixels, beam {beam}, {available_cpus()} CPUs;")
    print(
        f"a load of {load:.1f} before the start; medians of {rounds} rounds, the best in brackets;"
    )
    print(f"{'the same captions' if same else 'captions that differ'}\n")
    print("| Python | photos/s | once started | CPU ms a photo |\n| --- | --- | --- | --- |")
    for python, times in taken.items():
        print(row(python, times, count))


if __name__ == "__main__":
    main(app)
