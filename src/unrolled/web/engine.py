"""The bounded queue, and the workers behind it: one at work, and one that stands by."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from unrolled.captioner import Decoding
from unrolled.errors import UnrolledError
from unrolled.web import wire
from unrolled.web.metrics import Metrics
from unrolled.web.problems import Problem
from unrolled.web.process import WorkerProcess
from unrolled.web.settings import Settings
from unrolled.web.worker import TOGETHER

AHEAD = 2 * TOGETHER
"""Photos that the worker has at once: while some are captioned, others are seen."""

AHEAD_BYTES = 64 << 20
"""Bytes of them at most, be they in the pipe or beyond it; a larger photo goes alone."""

_LONGEST_PAUSE = 30

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class _Task:
    """One photo, until it is answered."""

    number: int
    photo: bytes
    asked: wire.Header
    answer: asyncio.Future[wire.Header]
    size: int
    sent_at: float = 0.0


class Engine:
    """Takes photos from requests, and gives them to one worker process.

    Every photo sent to the worker is answered once: by the worker, or by its end. When it ends,
    another that has loaded the captioners already takes its place, and one more is started.

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
        self._turn = asyncio.Lock()  # held by the worker at work
        self._worker: WorkerProcess | None = None
        self._heard_at = 0.0  # seconds of the monotonic clock: the worker's last answer
        self._trouble = ""  # that was logged last
        self._running: list[asyncio.Task[None]] = []
        self.models: list[wire.Header] = []
        self.decoding = Decoding()

    @property
    def ready(self) -> bool:
        """Whether a worker takes photos."""
        return self._worker is not None

    async def start(self) -> None:
        """Start a worker, and wait until it has loaded its captioners; then another, to stand by.

        Raises
        ------
        UnrolledError
            If it cannot.
        """
        first = await WorkerProcess.start(self._settings)
        self.models, self.decoding = first.models, first.decoding
        self._running = [
            asyncio.create_task(self._keep(first)),
            asyncio.create_task(self._keep(None)),
            asyncio.create_task(self._watch()),
        ]

    async def stop(self) -> None:
        """Let the workers end."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

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
            tasks.append(_Task(self._numbers, photo, asked, loop.create_future(), len(photo)))
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
            if task.number in self._sent and self._worker is not None:
                self._worker.write(wire.pack({"drop": True, "task": task.number}))
            elif task in self._queue:
                self._queue.remove(task)
                self._metrics.photos.labels("dropped").inc()
        self._count()

    def _send(self) -> None:
        """Give the worker as many photos as it may have."""
        while self._worker is not None and self._queue and self._fits(self._queue[0]):
            task = self._queue.popleft()
            task.sent_at = time.monotonic()
            self._sent[task.number] = task
            self._worker.write(wire.pack({"task": task.number, **task.asked}, task.photo))
            task.photo = b""
        self._count()

    def _fits(self, task: _Task) -> bool:
        there = sum(sent.size for sent in self._sent.values())
        return not there or (len(self._sent) < AHEAD and there + task.size <= AHEAD_BYTES)

    def _count(self) -> None:
        self._metrics.queue.set(len(self._queue) + len(self._sent))
        self._metrics.ready.set(self.ready)

    async def _keep(self, worker: WorkerProcess | None) -> None:
        """Keep one worker, and another after it; the oftener they come to nothing, the later."""
        pause = 0
        while True:
            loaded_at = math.inf
            try:
                worker = worker or await WorkerProcess.start(self._settings)
                loaded_at = time.monotonic()
                await self._serve(worker)
                pause, self._trouble = 0, ""
            except (UnrolledError, OSError) as error:  # no memory for it, or whatever it is
                if time.monotonic() - loaded_at > _LONGEST_PAUSE:  # all was well meanwhile
                    pause, self._trouble = 0, ""
                self._say(str(error))
                pause = min(2 * pause or 1, _LONGEST_PAUSE)
            worker = None
            await asyncio.sleep(pause)

    async def _serve(self, worker: WorkerProcess) -> None:
        """Have a worker stand by until the other has ended, then at work until it ends itself."""
        try:
            if await self._stand_by(worker):
                await self._work(worker)
        finally:
            await worker.close()
        if not worker.used:
            status = worker.ended.result() if worker.ended.done() else "unknown"
            raise UnrolledError(f"serve: a worker process ended unasked (exit status {status})")

    def _say(self, trouble: str) -> None:
        """Log why a worker came to nothing: once, however often another does."""
        if trouble != self._trouble:
            self._trouble = trouble
            _LOG.warning("%s; another is started", trouble)

    async def _stand_by(self, worker: WorkerProcess) -> bool:
        """Wait for the worker's turn; tells whether it has come, or the worker has ended before."""
        turn = asyncio.ensure_future(self._turn.acquire())
        try:
            self._metrics.standing_by.inc()
            await asyncio.wait({turn, worker.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            turn.cancel()  # without effect where it has come
            self._metrics.standing_by.dec()
        if turn.done() and worker.ended.done():
            self._turn.release()
        return not worker.ended.done()

    async def _work(self, worker: WorkerProcess) -> None:
        """Hand out photos and answers until the worker ends; its turn is over then."""
        try:
            self._worker = worker
            self._send()
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    self._answer(await worker.receive())
            self._metrics.restarts.inc()
        finally:
            self._end()
            self._turn.release()

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

    def _end(self) -> None:
        """Answer those whose photos the worker had: it has come to an end."""
        self._worker = None
        message = "The captioner was interrupted. Try again."
        for task in self._sent.values():
            self._metrics.photos.labels("lost").inc()
            if not task.answer.done():
                task.answer.set_exception(Problem("interrupted", message))
        self._sent.clear()
        self._count()

    async def _watch(self) -> None:
        """End a worker that has had photos and has long been silent; the other takes its place.

        A photo that waits its turn behind others proves nothing: only silence does.
        """
        while True:
            await asyncio.sleep(1)
            oldest = min((task.sent_at for task in self._sent.values()), default=None)
            silent = time.monotonic() - max(oldest or 0, self._heard_at)
            if oldest is not None and self._worker and silent > self._settings.seconds + 5:
                self._worker.kill()
