"""The service and its worker keep no large blocks that they have let go."""

from __future__ import annotations

import io
import os
import platform
import subprocess
import sys
import types

import pytest

pytest.importorskip("uvicorn", reason="unrolled[serve] is not installed")

from unrolled.web import running, worker

LETS_GO = """
import re, sys
import numpy as np
from unrolled.web.memory import return_large_blocks

def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

if sys.argv[1:]:
    return_large_blocks()
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
def test_large_blocks_go_back_to_the_system():
    def kept(*arguments, **environment):
        command = [sys.executable, "-c", LETS_GO, *arguments]
        plain = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
        return float(subprocess.check_output(command, env=plain | environment))

    assert kept() > 40  # megabytes: without what follows this test would tell nothing
    assert kept("return") < 8
    assert kept("return", MALLOC_MMAP_THRESHOLD_=str(16 << 20)) > 40  # the user's own word


class ReturnedError(Exception):
    pass


@pytest.mark.parametrize("start", [lambda: running.run(None, print), worker.main])
def test_the_service_and_its_worker_begin_with_it(monkeypatch, start):
    def returned():
        raise ReturnedError

    monkeypatch.setattr(running, "return_large_blocks", returned)
    monkeypatch.setattr(worker, "return_large_blocks", returned)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker.sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO()))
    with pytest.raises(ReturnedError):
        start()
