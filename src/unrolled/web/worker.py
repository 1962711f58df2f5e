"""The process that looks at photos: it sees them ahead in threads, and captions them together.

It reads frames from stdin and answers on stdout. Whatever a photo does to a decoder, it does it
here, and the service starts another worker.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from unrolled.captioner import DEFAULT, Caption, Captioners, Decoding, Eyes
from unrolled.cpus import available_cpus
from unrolled.errors import ImageError, UnrolledError
from unrolled.layers.arrays import Array
from unrolled.web import wire
from unrolled.web.details import explain
from unrolled.web.memory import return_large_blocks

TOGETHER = 32
"""Photos that are captioned together at most."""

SIDE_BY_SIDE = 160
"""Captions that are followed together at most, one photo's or those of more: with a wide beam few
photos go together, so that none behind them waits long."""

PATIENCE = 0.1
"""Share of the time that the last photos took for which as many again are waited for: clients that
were answered together come back together. One alone is not waited for, nor made to wait."""

SEEING_SECONDS = 0.5
"""For how long more photos are waited for while the CPUs are busy with seeing them anyway."""

_GONE: Future[Any] = Future()
_GONE.cancel()


class Waiting(NamedTuple):
    """A photo that waits for the captioner."""

    task: int
    asked: wire.Header
    features: Future[tuple[Array, ...]]


def most_together(width: int) -> int:
    """Say how many photos are captioned together.

    Parameters
    ----------
    width : int
        Captions that are followed for each.

    Returns
    -------
    int
    """
    return max(1, min(TOGETHER, SIDE_BY_SIDE // width))


class Desk:
    """Photos as they come in, being seen until their turn is there.

    Parameters
    ----------
    eyes : Eyes
    max_pixels : int
    """

    def __init__(self, eyes: Eyes, max_pixels: int) -> None:
        self._eyes, self._max_pixels = eyes, max_pixels
        self._waiting: dict[int, Waiting] = {}
        self._changed = threading.Condition()  # over an RLock: cancelling calls back
        self._closed = False
        self._last: Any = None  # how those taken last are captioned
        self._expected, self._taken_at = 1, time.monotonic()
        self._cpus = available_cpus()
        self._threads = ThreadPoolExecutor(self._cpus, thread_name_prefix="unrolled-see")

    def listen(self, stream: BinaryIO) -> None:
        """Take in photos until the service closes the stream.

        Parameters
        ----------
        stream : binary file
        """
        try:
            while frame := wire.read(stream):
                self._put(*frame)
        finally:  # whatever came: a worker that hears nothing more is to end
            self._closed = True
            self._wake()

    def _put(self, header: wire.Header, photo: bytes) -> None:
        """Take in a photo, or the word that nobody waits for it any more."""
        task = header["task"]
        if header.get("drop"):
            self._drop(task)
            return
        features = self._threads.submit(self._eyes.see, photo, max_pixels=self._max_pixels)
        with self._changed:
            self._waiting[task] = Waiting(task, header, features)
        features.add_done_callback(lambda _: self._wake())

    def take(self) -> list[Waiting]:
        """Wait for photos, and take those that are seen and are to be captioned alike.

        Where there are several ways, they take turns.

        Returns
        -------
        list of Waiting
            None where there are no more to come.
        """
        worked = time.monotonic() - self._taken_at
        with self._changed:
            self._changed.wait_for(lambda: self._ready() or (self._closed and not self._waiting))
            self._wait_for_company(PATIENCE * worked)
            ready = self._ready()
            if not ready:
                return []
            ways = [each.asked["decoding"] for each in ready]
            self._last = next((way for way in ways if way != self._last), ways[0])
            alike = [each for each, way in zip(ready, ways, strict=True) if way == self._last]
            taken = alike[: most_together(self._last["width"])]
            for each in taken:
                del self._waiting[each.task]
            self._expected, self._taken_at = len(taken), time.monotonic()
            return taken

    def _wait_for_company(self, seconds: float) -> None:
        """Wait for as many photos as were taken last, and while the CPUs only see, for more."""

        def being_seen() -> int:
            return len(self._waiting) - len(self._ready())

        self._changed.wait_for(
            lambda: self._closed or len(self._ready()) >= self._expected, timeout=seconds
        )
        self._changed.wait_for(
            lambda: being_seen() < self._cpus or len(self._ready()) >= TOGETHER,
            timeout=SEEING_SECONDS,
        )

    def _drop(self, task: int) -> None:
        """Do no more for a photo that nobody waits for; it is still to be answered."""
        with self._changed:
            if task in self._waiting:
                features = self._waiting[task].features
                self._waiting[task] = self._waiting[task]._replace(features=_GONE)
                self._changed.notify_all()
                features.cancel()

    def _ready(self) -> list[Waiting]:
        return [each for each in self._waiting.values() if each.features.done()]

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def answer(captioners: Captioners, taken: Sequence[Waiting]) -> list[wire.Header]:
    """Caption photos that are seen; one that cannot be read has the reason as its answer.

    Parameters
    ----------
    captioners : Captioners
    taken : sequence of Waiting
        With the same way of decoding.

    Returns
    -------
    list of dict
        In the same order.
    """
    answers: dict[int, wire.Header] = {}
    good = []
    for each in taken:
        if each.features.cancelled():
            answers[each.task] = {"dropped": True}
        elif isinstance(error := each.features.exception(), ImageError):
            answers[each.task] = {"unreadable": str(error)}
        else:
            good.append(each)
    if good:
        seen = zip(*(each.features.result() for each in good), strict=True)
        features = [np.stack(of_all) for of_all in seen]
        decoding = Decoding(**good[0].asked["decoding"])
        found = captioners.candidates(features, decoding=decoding)
        for place, (each, captions) in enumerate(zip(good, found, strict=True)):
            rows = [of_all[place : place + 1] for of_all in features]
            answers[each.task] = _found(captioners, each.asked, rows, captions)
    return [{"task": each.task} | answers[each.task] for each in taken]


def _found(
    captioners: Captioners, asked: wire.Header, features: list[Array], captions: list[Caption]
) -> wire.Header:
    kept = captions[: asked["count"]]
    found: wire.Header = {"captions": [{"caption": c.text, "log_prob": c.log_prob} for c in kept]}
    if asked["details"]:
        found["details"] = explain(captioners, asked["decoding"], features, kept[0].text)
    return found


def describe(captioners: Captioners, models: Sequence[str | None]) -> list[wire.Header]:
    """Say what the captioners are.

    Parameters
    ----------
    captioners : Captioners
    models : sequence of str or None
        What they were found by.

    Returns
    -------
    list of dict
    """
    return [
        {
            "name": os.path.basename(name.rstrip("/")) or name if name else DEFAULT,  # noqa: PTH119 - a path is no one's business
            "cell": member.model.cell_type,
            "words": len(member.vocabulary),
            "encoder": member.encoder.get("name", ""),
            "attends": member.sees_grid,
            "limits": str(member.card.get("limits", "")),
        }
        for name, member in zip(models, captioners.members, strict=True)
    ]


def _answer_next(captioners: Captioners, desk: Desk, tell: Callable[[wire.Header], None]) -> bool:
    """Caption the next photos; what was seen of them is let go before more are waited for."""
    taken = desk.take()
    began = time.perf_counter()
    if taken:
        said = answer(captioners, taken)
        tell({"answers": said, "seconds": time.perf_counter() - began})
    return bool(taken)


def main() -> None:
    """Load the captioners that the first frame names, then answer until stdin ends."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are for the service, which closes stdin
        signal.signal(stop, signal.SIG_IGN)
    return_large_blocks()
    frames, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer

    def tell(header: wire.Header) -> None:
        answers.write(wire.pack(header))
        answers.flush()

    first = wire.read(frames)
    if first is None:
        return
    told = first[0]
    try:
        captioners = Captioners.load(told["models"]).ready()
        eyes = Eyes(captioners.members, told["encoder"])
    except UnrolledError as error:
        tell({"failed": str(error)})
        return
    desk = Desk(eyes, told["max_pixels"])
    tell(
        {
            "models": describe(captioners, told["models"]),
            "decoding": dataclasses.asdict(captioners.decoding),
        }
    )
    threading.Thread(target=desk.listen, args=(frames,), daemon=True).start()
    while _answer_next(captioners, desk, tell):
        pass


if __name__ == "__main__":
    main()
