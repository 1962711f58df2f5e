"""The student's process, seen from outside: requests go in, numbers or a clear end come back."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

from unrolled.check import wire
from unrolled.check.answers import check_answer
from unrolled.errors import UnrolledError

START_SECONDS = 120.0
SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV"}
SIGXFSZ = 25


class Limits(NamedTuple):
    """What one function may use."""

    seconds: float = 10.0
    megabytes: int = 2048


class Ended(NamedTuple):
    """How a request ended: with an answer, or with the code of a diagnosis and its values."""

    answer: dict[str, Any] | None
    code: str = ""
    values: Mapping[str, Any] = MappingProxyType({})


class Sandbox:
    """A fresh interpreter that forks once a request; use it with ``with``.

    Parameters
    ----------
    profile : "numpy" or "torch"
    limits : Limits
    """

    def __init__(self, profile: str, limits: Limits) -> None:
        self._profile = profile
        self._limits = limits
        self._count = 0
        self.network = ""

    def __enter__(self) -> Sandbox:
        """Start the interpreter."""
        self._folder = tempfile.TemporaryDirectory(
            prefix="unrolled-check-", ignore_cleanup_errors=True
        )
        home = os.path.realpath(self._folder.name)
        self._home = Path(home)
        threads = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "UNROLLED")
        env = {f"{name}_NUM_THREADS": "1" for name in threads} | {"UNROLLED_THREADS": "1"}
        env |= {"PATH": os.defpath, "HOME": home, "TMPDIR": home, "PYTHONDONTWRITEBYTECODE": "1"}
        env |= {
            "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path))),
            "MPLBACKEND": "agg",
        }
        env |= {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
        command = [sys.executable, "-m", "unrolled.check.server"]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, self._profile],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd=home,
            start_new_session=True,
        )
        self.network = self._line(START_SECONDS)["network"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the interpreter and take away its folder."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=5 if kind is None else 0.1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._folder.cleanup()

    def ask(self, task: dict[str, Any]) -> Ended:
        """Have one task done in a process of its own.

        Parameters
        ----------
        task : dict
            As `unrolled.check.server` takes it.

        Returns
        -------
        Ended
        """
        self._count += 1
        folder = self._home / str(self._count)
        folder.mkdir(mode=0o700)
        wire.write(folder / "request", task)
        request = {"folder": str(folder), **self._limits._asdict()}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        ended = self._line(self._limits.seconds + START_SECONDS)
        return self._classified(ended, folder, task["calls"])

    def _line(self, seconds: float) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - it is a pipe
        ready = select.select([stream], [], [], seconds)[0]
        line = stream.readline() if ready else b""
        if not line:
            raise UnrolledError(
                "check: the process that runs the file did not start or has ended; "
                f"is {sys.executable} -m unrolled.check.server runnable, and is there memory?"
            )
        value: dict[str, Any] = json.loads(line)
        return value

    def _classified(
        self, ended: dict[str, Any], folder: Path, calls: list[dict[str, Any]]
    ) -> Ended:
        if ended["ended"] == "time":
            return Ended(None, "too-slow", {"seconds": f"{self._limits.seconds:g}"})
        if ended["ended"] == "signal":
            if ended["code"] == SIGXFSZ:
                return Ended(None, "too-much-output")
            name = SIGNALS.get(ended["code"], f"signal {ended['code']}")
            return Ended(None, "crashes", {"signal": name})
        if ended["ended"] != "answer":
            return Ended(None, "exits")
        try:
            return Ended(check_answer(wire.read(folder / "answer"), calls))
        except (OSError, ValueError):
            return Ended(None, "exits")

    @property
    def limits(self) -> Limits:
        """What one function may use."""
        return self._limits
