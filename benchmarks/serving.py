"""Measure the service beside the command: ``python -m benchmarks.serving`` prints docs' table.

The service and the plain call take turns, so that what else the machine does falls on both. Wants
Linux, and the photos of Flickr8k's dev split.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import typer
from PIL import Image

from benchmarks.report import ROOT, markdown, replaced
from unrolled.captioner import Captioners, Eyes
from unrolled.cli.app import main
from unrolled.errors import DataError
from unrolled.jobs.bench.tables import Table
from unrolled.vision.runtime import available_cpus

CODE = "from unrolled.cli import main; main()"
FLICKR8K = ROOT.parent / "shared" / "flickr8k"
PAGE = "docs/serving.md"
LARGE = (4000, 3000)
CLIENTS = 32
CLIENTS_OF_KILLS = 8
WARM = 400
"""Requests before memory is looked at first: of the same load, in a service that had no other."""

LARGE_EVERY = 25
"""Of the photos that memory is watched over, each that many is a large one."""

REST = 0.5
"""Seconds that the worker which stands by has been there before a kill."""

Row: TypeAlias = tuple[str, str, str, str]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Service(NamedTuple):
    """A service that runs."""

    host: str
    pid: int

    def workers(self) -> list[int]:
        """Its workers: the one at work, which was started first, and the one that stands by."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        children = " ".join(task.read_text() for task in tasks).split()
        return sorted(map(int, children), key=started_at)

    def stands_by(self) -> bool:
        """Tell whether another worker is loaded, besides the one at work."""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return b"\nunrolled_standing_by 1" in connection.getresponse().read()

    def wait(self) -> None:
        """Wait until another worker stands by."""
        while not self.stands_by():
            time.sleep(0.1)
        time.sleep(REST)

    def post(self, photo: bytes, options: str = "") -> tuple[int, dict]:
        """Ask for one photo's caption; gives the status and the answer."""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        with contextlib.closing(connection):
            headers = {"Content-Type": "image/jpeg"}
            connection.request("POST", f"/v1/captions{options}", photo, headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())


def started_at(pid: int) -> int:
    """Say when a process was started, in ticks since the machine was."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def megabytes(pid: int) -> float:
    """Say what a process holds in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def running() -> Iterator[Service]:
    """Start a service as a person does, and stop it in the end."""
    command = [sys.executable, "-c", CODE, "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://(\S+)/", process.stderr.readline())
        if found is None:
            raise DataError("serving: the service did not start")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        service = Service(found[1], process.pid)
        service.wait()
        yield service
    finally:
        process.terminate()
        process.wait()


def dev_photos(folder: Path, count: int) -> list[Path]:
    """Name some photos of Flickr8k's dev split."""
    names = (folder / "Flickr_8k.devImages.txt").read_text("utf-8").split()
    return [folder / "Flicker8k_Dataset" / name for name in names[:count]]


def write_photos(paths: Sequence[Path], folder: Path, size: tuple[int, int] | None) -> Path:
    """Copy photos to a folder, or make them as large as a camera does."""
    folder.mkdir()
    for path in paths:
        if size is None:
            (folder / path.name).write_bytes(path.read_bytes())
        else:
            with Image.open(path) as image:
                image.resize(size, Image.Resampling.BICUBIC).save(folder / path.name, quality=90)
    return folder


def captioned(service: Service, photos: Sequence[bytes], clients: int, options: str = "") -> float:
    """Caption photos by clients at once; gives the seconds."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for status, answer in pool.map(lambda photo: service.post(photo, options), photos):
            if status != 200:
                raise DataError(f"serving: the service answered {status}: {answer}")
    return time.perf_counter() - began


def commanded(*paths: Path) -> float:
    """Caption photos by the command; gives the seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-c", CODE, "caption", *map(str, paths), "--csv"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def throughput(service: Service, folder: Path, rounds: int) -> tuple[float, float, float]:
    """Measure photos per second: the service's, the command's, and the command's once started.

    The quickest round counts: what else the machine does only ever adds.
    """
    paths = sorted(folder.iterdir())
    photos = [path.read_bytes() for path in paths]
    times = []
    for number in range(rounds):
        plain = commanded(folder) if number % 2 == 0 else 0.0
        served = captioned(service, photos, CLIENTS)
        times.append((served, plain or commanded(folder), commanded(paths[0])))
    served, plain, started = (min(column) for column in zip(*times, strict=True))
    return len(paths) / served, len(paths) / plain, (len(paths) - 1) / (plain - started)


def alone(service: Service, folder: Path, rounds: int) -> tuple[float, float]:
    """Measure the milliseconds of one photo: of a lone request, and of the same in Python."""
    captioners = Captioners.load([None]).ready()
    eyes = Eyes(captioners.members)

    def plain(photo: bytes) -> None:
        captioners.candidates([each[None] for each in eyes.see(photo)])

    photos = [path.read_bytes() for path in sorted(folder.iterdir())]
    times: list[dict[str, float]] = []
    ways = {"served": service.post, "plain": plain}
    for number in range(-2, rounds):  # two to be warm
        taken = {}
        for name in sorted(ways, reverse=number % 2 == 0):
            began = time.perf_counter()
            ways[name](photos[number % len(photos)])
            taken[name] = 1000 * (time.perf_counter() - began)
        times.append(taken)
    served, plain_ms = (statistics.median(t[name] for t in times[2:]) for name in ways)
    return served, plain_ms


def killed(
    service: Service, photos: Sequence[bytes], kills: Sequence[int]
) -> tuple[list[float], Counter]:
    """Kill so many workers at once, under load, again and again.

    Gives the seconds from each kill to the first caption that was asked for after it, and how
    many requests ended how.
    """
    outcomes: Counter = Counter()
    answered: list[tuple[float, float]] = []  # when it was asked, and answered
    stopped = threading.Event()

    def ask(photo: bytes) -> None:
        while not stopped.is_set():
            asked = time.perf_counter()
            try:
                status, answer = service.post(photo)
            except (OSError, http.client.HTTPException) as error:
                outcomes[type(error).__name__] += 1
                continue
            outcomes["captioned" if status == 200 else answer["error"]["code"]] += 1
            if status == 200:
                answered.append((asked, time.perf_counter()))

    def first_after(moment: float) -> float:
        while True:
            found = [end for asked, end in answered if asked >= moment]
            if found:
                return min(found)
            time.sleep(0.01)

    times = []
    with ThreadPoolExecutor(CLIENTS_OF_KILLS) as pool:
        for photo in photos[:CLIENTS_OF_KILLS]:
            pool.submit(ask, photo)
        first_after(0)
        for number, count in enumerate(kills, 1):
            service.wait()
            moment = time.perf_counter()
            for pid in service.workers()[:count]:
                os.kill(pid, signal.SIGKILL)
            times.append(first_after(moment) - moment)
            say(f"kill {number} of {len(kills)}: a caption after {times[-1]:.2f} s")
        stopped.set()
    return times, outcomes


def say(text: str) -> None:
    print(text, file=sys.stderr)


def rows_of_speed(service: Service, name: str, folder: Path, rounds: int) -> Iterator[Row]:
    """Measure photos of one size."""
    say(f"photos of {name}: {CLIENTS} clients at once, and the command")
    served, plain, started = throughput(service, folder, rounds)
    beside = f"`unrolled caption`: {plain:.1f} photos/s; {started:.1f} once started"
    ratios = f"{served / plain:.0%}; {served / started:.0%}"
    yield f"{name}: {CLIENTS} clients at once", f"{served:.1f} photos/s", beside, ratios
    say(f"photos of {name}: one request after the other, and the same in Python")
    ours, theirs = alone(service, folder, 8 * rounds)
    beside = f"the same in Python: {theirs:.0f} ms"
    yield f"{name}: a lone request", f"{ours:.0f} ms", beside, f"{ours / theirs:.2f} times"


def mixed(small: Sequence[bytes], large: Sequence[bytes], count: int) -> list[bytes]:
    """Give so many photos, small ones and a few that are large."""
    return [
        large[n // LARGE_EVERY % len(large)]
        if n % LARGE_EVERY == LARGE_EVERY - 1
        else small[n % len(small)]
        for n in range(count)
    ]


def rows_of_memory(service: Service, photos: Sequence[bytes]) -> Iterator[Row]:
    """Measure what the processes hold before and after many requests."""
    requests = len(photos) - WARM
    say(f"memory over {requests:,} requests")
    captioned(service, photos[:WARM], CLIENTS)
    pids = {"the service's process": service.pid, "the worker": service.workers()[0]}
    before = {name: megabytes(pid) for name, pid in pids.items()}
    captioned(service, photos[WARM:], CLIENTS)
    for name, pid in pids.items():
        now = megabytes(pid)
        what = f"memory over {requests:,} requests: {name}"
        growth = f"{now / before[name] - 1:+.1%}"
        yield what, f"{now:.0f} MB", f"{before[name]:.0f} MB before", growth
    spare = megabytes(service.workers()[1])
    yield "memory: the worker that stands by", f"{spare:.0f} MB", "", ""


def rows_of_kills(service: Service, photos: Sequence[bytes], kills: int) -> Iterator[Row]:
    """Measure how soon there are captions again."""
    for which, counts in (("the worker", [1] * kills), ("both workers", [2] * max(1, kills // 5))):
        say(f"`kill -9` of {which}")
        times, outcomes = killed(service, photos, counts)
        what = f"{CLIENTS_OF_KILLS} clients, {len(counts)} times `kill -9` of {which}"
        found = f"a caption after {statistics.median(times):.2f} s, {max(times):.2f} s at most"
        ends = ", ".join(f"{count:,} {end}" for end, count in outcomes.most_common())
        yield what, found, f"requests: {ends}", ""


def measure(folders: dict[str, Path], rounds: int, requests: int, kills: int) -> Table:
    """Measure all of it."""
    small, large = (
        [path.read_bytes() for path in sorted(folder.iterdir())] for folder in folders.values()
    )
    rows: list[Row] = []
    with running() as service:
        captioned(service, small, CLIENTS)  # to be warm
        for name, folder in folders.items():
            rows += rows_of_speed(service, name, folder, rounds)
    with running() as service:
        rows += rows_of_memory(service, mixed(small, large, WARM + requests))
        rows += rows_of_kills(service, small, kills)
    return Table("", ("what", "service", "beside it", "ratio"), rows)


@app.command(epilog="Example: python -m benchmarks.serving --requests 10000 --write")
def serving(
    flickr8k: Annotated[Path, typer.Option(help="Where its photos are.")] = FLICKR8K,
    count: Annotated[int, typer.Option(help="Photos; half of them large.")] = 96,
    rounds: Annotated[int, typer.Option(help="Turns that are taken.")] = 3,
    requests: Annotated[int, typer.Option(help="Over which memory is watched.")] = 400,
    kills: Annotated[int, typer.Option(help="Of the worker.")] = 20,
    write: Annotated[bool, typer.Option(help=f"Put the table into {PAGE}.")] = False,
) -> None:
    """Measure throughput, latency, memory and restarts of the service that ships."""
    began, load = time.perf_counter(), os.getloadavg()[0]
    where = f"{date.today()}, {available_cpus()} CPUs, a load of {load:.1f} before the start."
    with tempfile.TemporaryDirectory() as made:
        paths = dev_photos(flickr8k, count)
        say(f"making photos of {LARGE[0]} x {LARGE[1]} pixels")
        folders = {
            "224 pixels": write_photos(paths, Path(made) / "small", None),
            f"{LARGE[0]} x {LARGE[1]}": write_photos(
                paths[: count // 2], Path(made) / "large", LARGE
            ),
        }
        block = f"{where}\n\n" + markdown(measure(folders, rounds, requests, kills))
    print(block)
    say(f"it took {time.perf_counter() - began:.0f} s")
    if write:
        page = ROOT / PAGE
        text = replaced(page.read_text("utf-8"), "serving", block, PAGE)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(app)
