"""Hostile requests from a seed: nothing breaks, and good ones between them are answered."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from pathlib import Path

import hostile
import pytest

from services import CAPTIONS

REQUESTS = int(os.environ.get("UNROLLED_FUZZ", "300"))
"""10,000 takes minutes: UNROLLED_FUZZ=10000 python -m pytest tests/web/test_web_fuzz.py"""


@pytest.fixture
def attacked(serving):
    with serving("--photo-bytes", 1_000_000, "--photo-pixels", 4_000_000, "--seconds", 20) as one:
        yield one


def memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def send(service, rng) -> int | None:
    """Send one hostile request; gives the status where there was an answer."""
    if rng.random() < 0.05:
        host, _, port = service.host.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(hostile.raw(rng))
            connection.settimeout(0.05)
            with contextlib.suppress(OSError):
                head = connection.recv(100)
                return int(head[9:12]) if head else None
        return None
    method, path, headers, body = hostile.request(rng)
    with contextlib.suppress(ConnectionError, ValueError):  # cut off, or no HTTP at all
        reply = service.ask(method, path, body, headers)
        if reply.status >= 400 and method == "POST" and path.startswith(CAPTIONS):
            assert reply.code
        return reply.status
    return None


def test_hostile_requests_break_nothing(attacked, photo):
    expected = attacked.post(photo).json["photos"][0]["caption"]
    restarts = attacked.count("unrolled_worker_restarts_total")
    host, _, port = attacked.host.rpartition(":")
    statuses: dict[int | None, int] = {}
    before = 0
    with contextlib.ExitStack() as stack:
        for _ in range(20):  # clients that have opened a connection, and say nothing
            stack.enter_context(socket.create_connection((host, int(port))))
        for seed in range(REQUESTS):
            status = send(attacked, random.Random(seed))
            statuses[status] = statuses.get(status, 0) + 1
            assert status is None or status < 500 or status == 503, f"seed {seed}: {status}"
            if seed % 25 == 0:
                [told] = attacked.post(photo).json["photos"]
                assert told["caption"] == expected
            if seed == REQUESTS // 4 and Path("/proc").exists():
                before = memory(attacked.process.pid) + memory(attacked.worker)
    assert attacked.count("unrolled_worker_restarts_total") == restarts
    assert {200, 413, 415, 422} <= statuses.keys()
    if before and REQUESTS >= 5000:
        after = memory(attacked.process.pid) + memory(attacked.worker)
        assert after < 1.05 * before
    assert "Traceback" not in "".join(attacked.said)
