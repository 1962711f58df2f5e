"""The queue and the worker: together, not for those who left, and back after a kill."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from services import CAPTIONS, JPEG, until

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="finds the worker in /proc"
)

WAITING = "unrolled_queue_photos"


@pytest.fixture(scope="module")
def running(serving):
    with serving("--queue", 40) as one:
        one.post(b"awake")
        yield one


def test_what_waits_is_captioned_together(running, photo):
    batches = running.count("unrolled_batch_photos_count")
    with ThreadPoolExecutor(8) as clients:
        with running.worker_stopped():
            replies = [clients.submit(running.post, photo) for _ in range(8)]
            until(lambda: running.count(WAITING) == 8)
        assert {reply.result().status for reply in replies} == {200}
    assert running.count("unrolled_batch_photos_count") - batches < 8


def test_a_full_queue_says_so_and_empties(running, photo):
    with ThreadPoolExecutor(2) as clients:
        with running.worker_stopped():
            files = [("a.jpg", photo)] * 20
            replies = [clients.submit(running.post_form, files) for _ in range(2)]
            until(lambda: running.count(WAITING) == 40)
            refused = running.post(photo)
            assert (refused.status, refused.code) == (429, "busy")
            assert int(refused.headers["Retry-After"]) > 0
        assert {reply.result().status for reply in replies} == {200}
    assert running.post(photo).status == 200


def test_what_a_client_gave_up_is_not_computed(running, photo):
    name = 'unrolled_photos_total{outcome="%s"}'
    captioned, dropped = running.count(name % "captioned"), running.count(name % "dropped")
    with running.worker_stopped():
        for _ in range(3):
            connection = running.connect()
            connection.request("POST", CAPTIONS, photo, JPEG)
            until(lambda: running.count(WAITING) >= 1)
            connection.close()
        time.sleep(0.2)
    until(lambda: running.count(WAITING) == 0)
    assert running.count(name % "dropped") + running.count(name % "captioned") == (
        captioned + dropped + 3
    )
    assert running.count(name % "dropped") > dropped


def test_a_killed_worker_is_replaced(running, photo):
    restarts = running.count("unrolled_worker_restarts_total")
    with ThreadPoolExecutor(4) as clients:
        with running.worker_stopped() as worker:
            replies = [clients.submit(running.post, photo) for _ in range(4)]
            until(lambda: running.count(WAITING) == 4)
            os.kill(worker, signal.SIGKILL)
        for reply in replies:
            assert (reply.result().status, reply.result().code) == (503, "interrupted")
            assert "Retry-After" in reply.result().headers
    assert running.post(photo).status == 200  # waits for the new worker
    assert running.count("unrolled_worker_restarts_total") == restarts + 1
    assert running.get("/readyz").status == 200


def both_there(running, *but):
    """Wait until one works and one stands by, none of them of those, and give them."""
    until(lambda: not set(but) & set(running.workers))
    until(lambda: running.count("unrolled_ready") == running.count("unrolled_standing_by") == 1)
    return running.workers


def test_workers_killed_under_load_are_missed_by_nobody_for_long(running, photo):
    ends, answered, over = [], [], threading.Event()

    def ask():
        while not over.is_set():
            began = time.monotonic()
            reply = running.post(photo)
            ends.append((reply.status, "" if reply.status == 200 else reply.code))
            if reply.status == 200:
                answered.append(began)

    with ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(ask) for _ in range(4)]
        try:
            for _ in range(5):
                working, standing = both_there(running)
                killed = time.monotonic()
                os.kill(working, signal.SIGKILL)
                until(lambda since=killed: any(began > since for began in answered))
                assert time.monotonic() - killed < 2
                assert running.worker == standing  # it was loaded already
        finally:
            over.set()
        for each in asking:
            each.result()
    assert set(ends) <= {(200, ""), (503, "interrupted")}


def test_a_worker_that_stands_by_and_ends_is_replaced(running, photo):
    restarts = running.count("unrolled_worker_restarts_total")
    working, standing = both_there(running)
    os.kill(standing, signal.SIGKILL)
    assert both_there(running, standing)[0] == working
    assert running.post(photo).status == 200
    assert running.count("unrolled_worker_restarts_total") == restarts


def test_the_service_outlives_both_of_its_workers(running, photo):
    killed = both_there(running)
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    both_there(running, *killed)
    assert running.post(photo).status in (200, 503)  # it may have gone to the one just killed
    assert running.post(photo).status == 200


@pytest.mark.parametrize(
    ("stop", "to"),
    [
        (signal.SIGTERM, "the service"),
        (signal.SIGTERM, "its workers too"),
        (signal.SIGINT, "its workers too"),
    ],
)
def test_what_was_taken_is_finished_before_the_end(serving, photo, stop, to):
    with serving() as ending, ThreadPoolExecutor(4) as clients:
        both_there(ending)
        with ending.worker_stopped():
            replies = [clients.submit(ending.post, photo) for _ in range(4)]
            until(lambda: ending.count(WAITING) == 4)
            workers = ending.workers if to == "its workers too" else []
            for process in (*workers, ending.process.pid):  # a group's signal reaches all
                os.kill(process, stop)
            time.sleep(0.3)
        assert {reply.result().status for reply in replies} == {200}
        ending.process.wait(30)
        assert "Traceback" not in "".join(ending.said)


def test_more_files_may_be_open_than_connections_are_taken(serving):
    resource = pytest.importorskip("resource")
    pytest.importorskip("uvicorn", reason="unrolled[serve] is not installed")
    from unrolled.web.connection import MOST_CONNECTIONS

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * MOST_CONNECTIONS:
        pytest.skip(f"no more than {hard:,} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with serving() as one:
            allowed = resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert allowed[0] >= 2 * MOST_CONNECTIONS
    assert allowed[1] == hard


def test_a_captioner_that_is_not_there_is_said(tmp_path):
    from commands import call

    pytest.importorskip("fastapi", reason="unrolled[serve] is not installed")
    said = call("serve", "--model", tmp_path / "none", "--port", 0)
    assert said.code == 2
    assert said.err.startswith("error: ")
    assert "no such folder" in said.err
