"""Settings measured in processes of their own, in strictly interleaved rounds.

A process holds the settings that share libraries, and one set of threads: what another library's
threads do while they wait cannot disturb it, and the environment (threads, `UNROLLED_KERNELS`) is
its own. Only one process works at a time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from unrolled.errors import UnrolledError
from unrolled.jobs.bench.cases import Work
from unrolled.kernels import release_buffers

Run = Callable[[], Any]
"""Does the work once; gives back the outcome that shows that it was done."""

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
TURN = 0.25
"""Seconds; what takes less is repeated for so long whenever its turn comes, as in training step
follows step: the first time wakes threads and fills caches that others had, and does not count."""


class Setting(NamedTuple):
    """Somebody's way to do the work.

    Attributes
    ----------
    name : str
        Whose it is, and how: ``"unrolled bfloat16"``.
    process : str
        Settings of one process share its libraries and its environment.
    make : callable
        Of a module, as it goes to another process: a `Work` to a `Run`.
    tolerance : float
        How far its outcome may be from the reference.
    environment : mapping of str to str
        Of its process.
    """

    name: str
    process: str
    make: Callable[[Work], Run]
    tolerance: float
    environment: Mapping[str, str] = {}


class Processes:
    """The processes of a benchmark, started when they are first needed.

    Parameters
    ----------
    threads : int
        That every library may use; the processes are held to as many cores.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._running: dict[str, ProcessPoolExecutor] = {}

    def __enter__(self) -> Processes:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all processes."""
        for name in list(self._running):
            self.stop(name)

    def call(self, setting: Setting, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a module's function in a setting's process, and wait.

        Parameters
        ----------
        setting : Setting
        function : callable
        *arguments
            That can be pickled.

        Returns
        -------
        what the function returns

        Raises
        ------
        UnrolledError
            If the process comes to an end; what the function raises it raises too.
        """
        try:
            return self._executor(setting).submit(function, *arguments).result()
        except BrokenProcessPool:
            self.stop(setting.process)
            raise UnrolledError(
                f"bench: the process of {setting.name} came to an end; was it killed because the "
                "memory did not suffice?"
            ) from None

    def _executor(self, setting: Setting) -> ProcessPoolExecutor:
        """Find a setting's process, started if it has not been."""
        if setting.process not in self._running:
            context = multiprocessing.get_context("spawn")
            executor = ProcessPoolExecutor(1, context, _begin, (self.threads,))
            self._running[setting.process] = executor
            with _environment(thread_variables(self.threads) | dict(setting.environment)):
                executor.submit(os.getpid).result()
        return self._running[setting.process]

    def stop(self, name: str) -> None:
        """Stop a process, and let go of its memory.

        Parameters
        ----------
        name : str
        """
        executor = self._running.pop(name, None)
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)


def thread_variables(threads: int) -> dict[str, str]:
    """Say to every library how many threads it may use.

    Parameters
    ----------
    threads : int

    Returns
    -------
    dict of str to str
        Environment variables.
    """
    names = ("UNROLLED_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(names, str(threads))


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables while a process starts, which takes them along."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# What follows runs in the other process.

_runs: dict[str, Run] = {}


def _begin(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that was called
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def prepare(key: str, make: Callable[[Work], Run], work: Work) -> Any:
    """Make ready and run twice; gives back the first outcome.

    Parameters
    ----------
    key : str
        To call it by.
    make : callable
    work : Work

    Returns
    -------
    the outcome
    """
    run = _runs[key] = make(work)
    outcome = run()
    if work.task != "epoch":
        run()
    return outcome


def forget(key: str) -> None:
    """Let go of a run that was prepared.

    Parameters
    ----------
    key : str
    """
    _runs.pop(key, None)


def take_time(key: str, clock: str) -> float:
    """Take the time of a run: the median of a turn, where several make one.

    Parameters
    ----------
    key : str
    clock : str
        One of `CLOCKS`.

    Returns
    -------
    float
        Seconds.
    """
    run, now = _runs[key], CLOCKS[clock]
    spent = [_time(run, now)]
    while sum(spent) < TURN:
        spent.append(_time(run, now))
    return statistics.median(spent[1:] or spent)


def _time(run: Run, now: Callable[[], float]) -> float:
    start = now()
    run()
    return now() - start


def take_memory(make: Callable[[Work], Run], small: Work, work: Work) -> float:
    """Measure how far a step's memory rises above what stands when model and batch are made.

    A small step goes first, so that what libraries load and set up once does not count.

    Parameters
    ----------
    make : callable
    small, work : Work

    Returns
    -------
    float
        Bytes.
    """
    make(small)()
    run = make(work)
    _give_back()
    before = _restart_peak()
    for _ in range(3):
        run()
    return max(_peak() - before, 0.0)


def _give_back() -> None:
    """Let allocators give back what was freed, so that it counts if it is used again."""
    import ctypes

    release_buffers()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # where there is no glibc
        ctypes.CDLL(None).malloc_trim(0)


def _restart_peak() -> float:
    """Let the peak be what is in use now, where the system can; gives back the peak."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _peak()


def _peak() -> float:
    try:
        told = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return next(float(x.split()[1]) for x in told.splitlines() if x.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):  # in kilobytes on Linux, elsewhere in bytes
        import resource

        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (
            1024 if os.uname().sysname == "Linux" else 1
        )
