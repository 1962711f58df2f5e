"""How photos share the worker: bounded in number and in bytes, and no way of asking waits long."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import os
import threading
import time

import pytest

from unrolled.captioner import Decoding
from unrolled.errors import UnrolledError
from unrolled.web import wire

pytest.importorskip("prometheus_client", reason="unrolled[serve] is not installed")

from unrolled.web.engine import AHEAD, AHEAD_BYTES, Engine
from unrolled.web.metrics import Metrics
from unrolled.web.process import WorkerProcess
from unrolled.web.settings import Settings
from unrolled.web.worker import SIDE_BY_SIDE, TOGETHER, Desk, most_together


class Sleeper:
    """A worker that takes whatever it is given, and answers when it is told to."""

    def __init__(self):
        self.frames = []

    def write(self, frame):
        self.frames.append(wire.read(io.BytesIO(frame)))

    @property
    def bytes(self):
        return sum(len(photo) for _, photo in self.frames)

    def answers(self):
        answers = [{"task": head["task"], "captions": []} for head, _ in self.frames]
        self.frames.clear()
        return {"answers": answers, "seconds": 0.0}


@pytest.mark.parametrize("size", [1, AHEAD_BYTES // 8, AHEAD_BYTES // 3 + 1, AHEAD_BYTES + 1])
def test_what_the_worker_holds_is_bounded_in_number_and_bytes(size):
    most = min(AHEAD, max(1, AHEAD_BYTES // size))

    async def ask():
        engine, worker = Engine(Settings(queue=3 * AHEAD), Metrics()), Sleeper()
        engine._worker = worker
        asking = asyncio.ensure_future(engine.caption([bytes(size)] * (most + 5), Decoding()))
        await asyncio.sleep(0)
        seen = []
        while not asking.done():
            seen.append(len(worker.frames))
            assert worker.bytes <= max(AHEAD_BYTES, size)
            engine._answer(worker.answers())
            await asyncio.sleep(0)
        assert len(await asking) == most + 5
        return seen

    seen = asyncio.run(ask())
    assert seen[0] == most
    assert sum(seen) == most + 5


class Looks:
    """Eyes that see by doing nothing."""

    def see(self, photo, *, max_pixels):
        return photo


def desk_with(*widths):
    """Give a desk where photos wait that want beams of these widths."""
    desk = Desk(Looks(), 1)
    heads = ({"task": n, "decoding": {"width": width}} for n, width in enumerate(widths))
    desk.listen(io.BytesIO(b"".join(wire.pack(head, b"photo") for head in heads)))
    with desk._changed:
        assert desk._changed.wait_for(lambda: len(desk._ready()) == len(widths), timeout=10)
    return desk


def widths_taken(desk):
    taken = iter(desk.take, [])
    return [[each.asked["decoding"]["width"] for each in batch] for batch in taken]


def test_the_wider_the_beam_the_fewer_photos_go_together():
    assert most_together(1) == most_together(5) == TOGETHER
    assert most_together(1000) == 1
    assert all(most_together(width) * width <= SIDE_BY_SIDE for width in range(5, SIDE_BY_SIDE))
    wide = widths_taken(desk_with(*[50] * 10))
    assert max(map(len, wide)) == most_together(50) < 10
    assert sum(map(len, wide)) == 10


def test_ways_of_asking_take_turns():
    batches = widths_taken(desk_with(*[50] * 30, 5))
    assert [5] in batches[:2]  # it came last
    batches = widths_taken(desk_with(*[5] * 70, *[1] * 70))
    assert [batch[0] for batch in batches[:4]] == [5, 1, 5, 1]


@contextlib.contextmanager
def open_desk():
    """Give a desk, and what puts photos on it that want a beam of five."""
    desk, (theirs, ours) = Desk(Looks(), 1), os.pipe()
    numbers = itertools.count()
    with os.fdopen(theirs, "rb") as reading, os.fdopen(ours, "wb", buffering=0) as writing:
        listening = threading.Thread(target=desk.listen, args=(reading,))
        listening.start()

        def put(count):
            for number in itertools.islice(numbers, count):
                writing.write(wire.pack({"task": number, "decoding": {"width": 5}}, b"photo"))

        yield desk, put
        writing.close()
        listening.join(10)


def test_those_who_were_answered_together_are_waited_for_and_one_alone_is_not():
    with open_desk() as (desk, put):
        put(1)
        assert len(desk.take()) == 1
        put(4)
        with desk._changed:
            assert desk._changed.wait_for(lambda: len(desk._ready()) == 4, timeout=10)
        assert len(desk.take()) == 4
        desk._taken_at -= 100  # the four took long: as many again are worth some seconds
        put(1)
        later = threading.Timer(0.2, put, [3])
        later.start()
        assert len(desk.take()) == 4
        put(1)  # the others do not come
        desk._taken_at -= 2
        assert len(desk.take()) == 1
        began, desk._taken_at = time.monotonic(), desk._taken_at - 1000
        put(1)
        assert len(desk.take()) == 1
        assert time.monotonic() - began < 50


def test_a_desk_that_is_closed_gives_what_is_left_and_ends():
    desk = desk_with(5)
    assert len(desk.take()) == 1
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(desk.take()))
    waiting.start()
    waiting.join(10)
    assert ended == [[]]


def test_a_frame_that_is_cut_anywhere_ends_the_worker():
    frame = wire.pack({"drop": True, "task": 1})
    for cut in range(len(frame)):
        desk = Desk(Looks(), 1)
        desk.listen(io.BytesIO(frame[:cut]))
        assert desk.take() == []


def test_a_desk_is_closed_by_whatever_ends_its_listening():
    desk = Desk(Looks(), 1)
    with pytest.raises(KeyError):
        desk.listen(io.BytesIO(wire.pack({"no": "task"})))
    assert desk._closed
    assert desk.take() == []


class Short:
    """A worker that ends as soon as it has loaded its captioners."""

    used = False

    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()
        self.ended.set_result(-9)

    async def close(self):
        pass


def test_workers_that_come_to_nothing_are_told_of_and_come_ever_later(monkeypatch, caplog):
    pauses, starts = [], itertools.count()

    async def start(_settings):
        number = next(starts)
        assert number < 100  # without a pause they would be started for ever
        if number < 3:
            raise UnrolledError("serve: no memory")
        return Short()

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 8:
            raise asyncio.CancelledError

    async def keep():
        await Engine(Settings(), Metrics())._keep(None)

    monkeypatch.setattr(WorkerProcess, "start", start)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keep())
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert ["no memory" in said for said in caplog.messages] == [True, False]
    assert "exit status -9" in caplog.messages[1]
