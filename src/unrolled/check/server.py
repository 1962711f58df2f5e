"""The process that runs students' code: it holds NumPy ready and forks once a request.

``python -m unrolled.check.server [torch]`` reads requests from standard input, one JSON object a
line, ``{"folder": ..., "seconds": ..., "megabytes": ...}``, and answers each with a line: how the
forked process ended. The request proper and the answer proper lie in the folder.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import resource
import secrets
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from unrolled.check import calls, namespace, network, wire


def main() -> None:
    """Serve until standard input ends."""
    torch = "torch" in sys.argv[1:]
    if torch:
        import torch as _torch

        _torch.set_num_threads(1)
    namespace.right_helpers("torch" if torch else "numpy")
    gc.freeze()  # what is here at the fork is never looked through again in its children
    alone = network.own_network()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"network": "namespace" if alone else "hook"}), file=out, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_serve(request)), file=out, flush=True)
    os._exit(0)  # nothing is held here that must be put down: torch takes seconds to do so


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    """Fork, wait, and leave nothing running."""
    done = 1 + secrets.randbelow(255)  # no exit that the student's code knows is the end of ours
    child = os.fork()
    if child == 0:
        code = 0
        try:
            _work(request)
            code = done
        finally:
            os._exit(code)
    ended = _wait(child, request["seconds"])
    _sweep(child)
    if ended == {"ended": "exit", "code": done}:
        return {"ended": "answer"}
    return ended


def _wait(child: int, seconds: float) -> dict[str, Any]:
    deadline, pause = time.monotonic() + seconds, 0.001
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code == -signal.SIGXCPU:
                return {"ended": "time"}
            return {"ended": "signal" if code < 0 else "exit", "code": abs(code)}
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"ended": "time"}


def _sweep(child: int) -> None:
    """End whatever the child has left behind: its group, and orphans that came to us."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    for _ in range(100):
        for orphan in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.005)
        except ChildProcessError:
            return


def _children() -> list[int]:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
        return [int(pid) for pid in text.split()]
    return []


def _limit(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))


def _work(request: dict[str, Any]) -> None:
    """Be the forked process: close everything off, load, call, answer."""
    folder = Path(request["folder"])
    os.setsid()
    os.chdir(folder)
    null = os.open(os.devnull, os.O_RDONLY)
    said = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor, target in ((null, 0), (said, 1), (said, 2)):
        os.dup2(descriptor, target)
    os.closerange(3, 256)
    task = wire.read(folder / "request")
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if _linux() else 0
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, wire.MOST_BYTES)
    _limit(resource.RLIMIT_CPU, int(request["seconds"]) + 1)
    if used:
        _limit(resource.RLIMIT_AS, used * resource.getpagesize() + (request["megabytes"] << 20))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    sys.stdin = io.StringIO()
    sys.stdout = sys.stderr = Sink()
    warnings.simplefilter("ignore")
    tries: list[str] = []

    def refused(what: str) -> BaseException:
        tries.append(what)
        return calls.ForbiddenError(what)

    network.refuse(str(folder), refused)
    wire.write(folder / "answer", _answer(task, tries))


def _linux() -> bool:
    return sys.platform.startswith("linux")


def _answer(task: dict[str, Any], tries: list[str]) -> dict[str, Any]:
    sources = {name: (label, text) for name, label, text in task["sources"]}
    names, failures = namespace.load(sources, task["profile"], task["roots"], task["replaced"])
    answers: list[dict[str, Any]] = []
    for call in task["calls"]:
        wanted = call.get("function", "CaptioningRNN")
        if wanted not in names or call.get("forward", wanted) not in names:
            answers.append({"absent": True})
            continue
        answers.append(calls.run(names, call, task["profile"]))
        error = answers[-1].get("error")
        if error and error["type"] in STOPPING:
            break
    return {"names": sorted(names), "failures": failures, "answers": answers, "tries": tries[:8]}


STOPPING = ("SystemExit", "OutputStormError", "KeyboardInterrupt")


class Sink(io.TextIOBase):
    """Takes what a function prints, and stops it when it is too much."""

    def __init__(self) -> None:
        self._left = calls.MOST_OUTPUT

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str, /) -> int:
        """Forget it, but count."""
        self._left -= len(text)
        if self._left < 0:
            raise calls.OutputStormError
        return len(text)


if __name__ == "__main__":
    main()
