"""A worker's end, as the service sees it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unrolled.captioner import Decoding
from unrolled.web.process import _MALLOC, WorkerProcess

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


LETS_GO = """
import re
import numpy as np

def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

np.ones(30 << 20, "u1")  # after this one as large is not asked of the system any more
before = held()
arrays, between = [], []
for _ in range(10):
    arrays.append(np.ones(8 << 20, "u1"))
    between.append(bytes(100_000))
del arrays
print(held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks Linux, and the GNU C library")
def test_a_worker_keeps_no_large_arrays_that_it_has_let_go(service):
    def kept(**environment):
        command = [sys.executable, "-c", LETS_GO]
        plain = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
        return float(subprocess.check_output(command, env=plain | environment))

    assert kept() > 40  # megabytes: without what follows this test would tell nothing
    assert kept(**_MALLOC) < 8
    for worker in service.workers:
        told = Path(f"/proc/{worker}/environ").read_bytes().decode().split("\0")
        assert {f"{name}={value}" for name, value in _MALLOC.items()} <= set(told)
