"""The bounded queue, and the worker behind it, started again whenever it comes to an end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unrolled.captioner import Decoding
from unrolled.errors import UnrolledError
from unrolled.web import wire
from unrolled.web.metrics import Metrics
from unrolled.web.problems import Problem
from unrolled.web.settings import Settings
from unrolled.web.worker import TOGETHER

AHEAD = 2 * TOGETHER
"""Photos that the worker has at once: while some are captioned, others are decoded."""

_START_SECONDS = 120
_LONGEST_PAUSE = 30


@dataclasses.dataclass(eq=False)
class _Task:
    """One photo, until it is answered."""

    number: int
    photo: bytes
    asked: wire.Header
    answer: asyncio.Future[wire.Header]
    sent_at: float = 0.0


class Engine:
    """Takes photos from requests, and gives them to one worker process.

    Every photo sent to the worker is answered once: by the worker, or by its end.

    Parameters
    ----------
    settings : Settings
    metrics : Metrics

    Attributes
    ----------
    models : list of dict
        What the worker said of its captioners.
    decoding : Decoding
        How they search unless told otherwise.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._numbers = 0
        self._queue: deque[_Task] = deque()
        self._sent: dict[int, _Task] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._heard_at = 0.0  # seconds of the monotonic clock: the worker's last answer
        self._ready = False
        self._running: list[asyncio.Task[None]] = []
        self.models: list[wire.Header] = []
        self.decoding = Decoding()

    @property
    def ready(self) -> bool:
        """Whether the worker takes photos."""
        return self._ready

    async def start(self) -> None:
        """Start the worker, and wait until it has loaded its captioners.

        Raises
        ------
        UnrolledError
            If it cannot.
        """
        process = await self._start()
        self._running = [
            asyncio.create_task(self._keep(process)),
            asyncio.create_task(self._watch()),
        ]

    async def stop(self) -> None:
        """Let the worker end."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._end("the service is stopping; try again later")
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), timeout=5)
            except asyncio.TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def caption(
        self, photos: Sequence[bytes], decoding: Decoding, **asked: Any
    ) -> list[wire.Header]:
        """Caption photos, together with those of other requests.

        Where it is cancelled, the photos that have not been begun are not computed.

        Parameters
        ----------
        photos : sequence of bytes
        decoding : Decoding
        **asked
            What else the worker is to know.

        Returns
        -------
        list of dict
            What the worker said of each.

        Raises
        ------
        Problem
            ``busy`` where the queue is full, ``interrupted`` where the worker came to an end,
            ``overdue`` where it took too long.
        """
        if len(self._queue) + len(self._sent) + len(photos) > self._settings.queue:
            raise Problem("busy", "Many photos are waiting already. Try again in a moment.")
        asked["decoding"] = dataclasses.asdict(decoding)
        loop = asyncio.get_running_loop()
        tasks = []
        for photo in photos:
            self._numbers += 1
            tasks.append(_Task(self._numbers, photo, asked, loop.create_future()))
        self._queue.extend(tasks)
        self._send()
        try:
            return await asyncio.wait_for(
                asyncio.gather(*(task.answer for task in tasks)), timeout=self._settings.seconds
            )
        except asyncio.TimeoutError:
            raise Problem(
                "overdue", f"No caption within {self._settings.seconds} seconds. Try again later."
            ) from None
        finally:
            self._let_go(tasks)

    def _let_go(self, tasks: Sequence[_Task]) -> None:
        """Do no more for tasks whose request has ended, however it did."""
        for task in tasks:
            if task.number in self._sent:
                self._write(wire.pack({"drop": True, "task": task.number}))
            elif task in self._queue:
                self._queue.remove(task)
                self._metrics.photos.labels("dropped").inc()
        self._count()

    def _send(self) -> None:
        """Give the worker as many photos as it may have."""
        while self._ready and self._queue and len(self._sent) < AHEAD:
            task = self._queue.popleft()
            task.sent_at = time.monotonic()
            self._sent[task.number] = task
            self._write(wire.pack({"task": task.number, **task.asked}, task.photo))
            task.photo = b""
        self._count()

    def _write(self, frame: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(frame)  # the buffer is bounded by what may be held

    def _count(self) -> None:
        self._metrics.queue.set(len(self._queue) + len(self._sent))
        self._metrics.ready.set(self._ready)

    async def _start(self) -> asyncio.subprocess.Process:
        """Start a worker, and wait for it to be ready."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "unrolled.web.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        models: list[str | None] = [
            str(Path(m).absolute()) if Path(m).exists() else m for m in self._settings.models
        ]
        told = {
            "models": models or [None],  # the one that ships
            "encoder": self._settings.encoder,
            "max_pixels": self._settings.photo_pixels,
        }
        self._write(wire.pack(told))
        try:
            said = await asyncio.wait_for(self._receive(process), timeout=_START_SECONDS)
        except (asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise UnrolledError("serve: the worker process ended before it was ready") from error
        if "failed" in said:
            raise UnrolledError(said["failed"])
        self.models, self.decoding = said["models"], Decoding(**said["decoding"])
        self._ready = True
        self._send()
        return process

    @staticmethod
    async def _receive(process: asyncio.subprocess.Process) -> wire.Header:
        if process.stdout is None:
            raise UnrolledError("serve: the worker has no stdout")
        return await wire.receive(process.stdout)

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        """Hand out the worker's answers, and start another one when it ends."""
        failures = 0
        while True:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    self._answer(await self._receive(process))
                    failures = 0
            self._end("The captioner was interrupted. Try again.")
            self._metrics.restarts.inc()
            while not self._ready:
                await asyncio.sleep(min(2**failures - 1, _LONGEST_PAUSE))
                failures += 1
                with contextlib.suppress(UnrolledError, OSError):  # such as no memory for a process
                    process = await self._start()

    def _answer(self, said: wire.Header) -> None:
        """Hand out a batch's answers."""
        self._heard_at = time.monotonic()
        for answer in said["answers"]:
            task = self._sent.pop(answer["task"])
            outcome = next(k for k in ("captions", "unreadable", "dropped") if k in answer)
            self._metrics.photos.labels(outcome.replace("captions", "captioned")).inc()
            if not task.answer.done():
                task.answer.set_result(answer)
        self._metrics.batch.observe(len(said["answers"]))
        self._metrics.model_seconds.observe(said["seconds"])
        self._send()

    def _end(self, message: str) -> None:
        """Answer those whose photos the worker had: it has come to an end."""
        self._ready = False
        for task in self._sent.values():
            self._metrics.photos.labels("lost").inc()
            if not task.answer.done():
                task.answer.set_exception(Problem("interrupted", message))
        self._sent.clear()
        self._count()

    async def _watch(self) -> None:
        """End a worker that has had photos and has long been silent; `_keep` starts another.

        A photo that waits its turn behind others proves nothing: only silence does.
        """
        while True:
            await asyncio.sleep(1)
            oldest = min((task.sent_at for task in self._sent.values()), default=None)
            if (
                oldest is not None
                and time.monotonic() - max(oldest, self._heard_at) > self._settings.seconds + 5
                and self._process is not None
            ):
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
