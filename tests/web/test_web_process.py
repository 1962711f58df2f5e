"""A worker's end, as the service sees it."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys
import time

import pytest

from unrolled.captioner import Decoding
from unrolled.web.process import WorkerProcess

TALKS = "import os, sys; os.write(1, bytes(1 << 20)); sys.stdin.read()"
"""Says more than a pipe and who reads it hold, then waits for the end of what it is told."""


async def talker():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TALKS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    decoding = dataclasses.asdict(Decoding())
    return WorkerProcess(process, {"models": [], "decoding": decoding})


async def unheard(worker):
    """Wait until nothing more of it is taken in."""
    while not worker._process.stdout._paused:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("killed", [False, True])
def test_a_worker_to_whom_nobody_listened_is_closed_nevertheless(killed):
    async def close():
        worker = await talker()
        await asyncio.wait_for(unheard(worker), timeout=30)
        if killed:
            worker.kill()
        began = time.monotonic()
        await asyncio.wait_for(worker.close(), timeout=30)
        assert time.monotonic() - began < 4  # at once: none of its patience is used up
        return worker.ended.result()

    assert asyncio.run(close()) == (-signal.SIGKILL if killed else 0)
