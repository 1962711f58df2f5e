"""A service in a process of its own, and a client that says just what it is told to."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from commands import start, surroundings

CAPTIONS = "/v1/captions"
JPEG = {"Content-Type": "image/jpeg"}


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of an error."""
        return self.json["error"]["code"]


class Service:
    """A running service."""

    def __init__(self, address: str, process: Any) -> None:
        self.address, self.process = address, process
        self.host = urlsplit(address).netloc

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=timeout)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers=headers)

    def post(self, photo: Any, options: str = "", **headers: str) -> Reply:
        return self.ask("POST", CAPTIONS + options, photo, JPEG | headers)

    def post_form(self, files: Sequence[tuple[str, bytes]], options: str = "") -> Reply:
        body, kind = form(files)
        return self.ask("POST", CAPTIONS + options, body, {"Content-Type": kind})

    def count(self, name: str) -> float:
        """Give the value of a metric, with its labels as Prometheus writes them."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").body.decode(), re.M)
        return float(found[1]) if found else 0.0

    @property
    def workers(self) -> list[int]:
        """Its workers' processes: the one at work, then the one that stands by."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = map(int, " ".join(task.read_text() for task in tasks).split())
        return sorted(children, key=_started_at)

    @property
    def worker(self) -> int:
        """The worker at work."""
        return self.workers[0]

    @contextlib.contextmanager
    def worker_stopped(self) -> Iterator[int]:
        """Hold the worker still, so that what happens meanwhile does not depend on its speed."""
        worker = self.worker
        os.kill(worker, signal.SIGSTOP)
        try:
            yield worker
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)


def _started_at(pid: int) -> int:
    """When a process was started, in ticks since the machine was."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def form(files: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    """Write a form of files."""
    boundary = b"a-boundary-that-no-photo-has"
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="photo"; filename="%b"\r\n\r\n%b\r\n'
        % (boundary, name.encode(), content)
        for name, content in files
    ]
    return b"".join(parts) + b"--%b--\r\n" % boundary, (
        f"multipart/form-data; boundary={boundary.decode()}"
    )


@contextlib.contextmanager
def started(*flags: object, **environment: str) -> Iterator[Service]:
    """Start a service, and stop it in the end."""
    process = start("serve", "--port", 0, *flags, env=surroundings(**environment))
    said: list[str] = []
    rest = threading.Thread(target=lambda: said.extend(process.stderr), daemon=True)
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                break
        else:
            raise AssertionError(f"the service did not start: {''.join(said)}")
        rest.start()
        service = Service(found[0], process)
        service.said = said
        yield service
    finally:
        process.terminate()
        process.wait(30)
        if rest.ident is not None:
            rest.join(30)
        process.stdout.close()
        process.stderr.close()


def until(true: Any, seconds: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)
