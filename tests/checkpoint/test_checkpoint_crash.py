"""A crash at any instant of saving leaves a complete checkpoint that loads."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from unrolled import checkpoint
from unrolled.errors import CheckpointError


def save(path, value, **changes):
    """Save a checkpoint in which every file depends on one number."""
    checkpoint.save(
        path,
        params={"W": np.full((50, 4), value, np.float32)},
        config={"value": value},
        vocab={"value": value},
        optimizer={"sgd.step": np.array(value)},
        state={"value": value},
        **changes,
    )


def load(path):
    """Load it; a mixture of two checkpoints would show in one of the files."""
    found = checkpoint.load(path, resume=True)
    values = {float(x) for x in found.params["W"].flat} | {int(found.optimizer["sgd.step"])}
    values |= {found.config["value"], found.vocab["value"], found.state["value"]}
    (value,) = values
    return int(value)


class Crash(BaseException):
    """A power cut: nothing after it runs, and nobody can catch it as an error."""


class PowerCut:
    """Let ``budget`` operations that change the file system happen, and crash after the last.

    With ``torn`` a crash in a write leaves half of it on the disk.
    """

    OPERATIONS = ("open", "write", "fsync", "mkdir", "rename", "replace", "unlink", "rmdir")

    def __init__(self, monkeypatch, budget, *, torn=False):
        self.done = []
        for name in self.OPERATIONS:
            monkeypatch.setattr(os, name, self.wrap(name, getattr(os, name), budget, torn))

    def wrap(self, name, real, budget, torn):
        def operation(first, *rest, **keywords):
            reads = name == "open" and not rest[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if reads:
                return real(first, *rest, **keywords)
            if len(self.done) >= budget:
                raise Crash
            if name == "write" and torn and len(self.done) == budget - 1:
                real(first, rest[0][: len(rest[0]) // 2])
                raise Crash
            self.done.append(name)
            return real(first, *rest, **keywords)

        return operation


def count_operations(monkeypatch, action):
    with monkeypatch.context() as patch:
        cut = PowerCut(patch, budget=10**9)
        action()
    return cut.done


def crash_after(monkeypatch, budget, action, *, torn=False):
    with monkeypatch.context() as patch:
        PowerCut(patch, budget, torn=torn)
        with pytest.raises(Crash):
            action()


def siblings(path):
    return sorted(p.name for p in path.parent.iterdir() if p != path)


@pytest.mark.parametrize("torn", [False, True])
def test_a_crash_after_every_operation_while_replacing(tmp_path, monkeypatch, quick_flush, torn):
    path = tmp_path / "last"
    save(path, 1)
    done = count_operations(monkeypatch, lambda: save(path, 2))
    counts = {name: done.count(name) for name in PowerCut.OPERATIONS}
    # Six files written and flushed, two folders flushed, two renames, the old six deleted.
    assert counts["write"] == counts["open"] == counts["unlink"] == 6
    assert counts["fsync"] == 8
    assert counts["rename"] == 2
    assert counts["rmdir"] == 1
    for budget in range(len(done)):
        save(path, 1)
        (path / "notes.txt").write_text("mine")
        crash_after(monkeypatch, budget, lambda: save(path, 2), torn=torn)
        found = load(path)
        assert found in (1, 2)
        # Flushed before the swap: from the second rename on, it is the new one.
        assert found == (2 if "rename" in done[:budget] else 1)
        save(path, 3)
        assert load(path) == 3
        assert siblings(path) == []
        assert (path / "notes.txt").read_text() == "mine"


def test_a_crash_while_finishing_after_a_crash(tmp_path, monkeypatch):
    """Two crashes in a row, at every pair of instants, never lose the newest that was loadable."""
    path = tmp_path / "last"
    save(path, 1)
    total = len(count_operations(monkeypatch, lambda: save(path, 2)))
    for first in range(0, total, 4):
        for second in range(0, total + 8, 5):
            save(path, 1)
            crash_after(monkeypatch, first, lambda: save(path, 2))
            before = load(path)
            try:
                with monkeypatch.context() as patch:
                    PowerCut(patch, second)
                    save(path, 3)
            except Crash:
                pass
            assert load(path) >= before
    save(path, 4)
    assert siblings(path) == []


def test_a_crash_in_the_very_first_save(tmp_path, monkeypatch):
    path = tmp_path / "run" / "last"
    done = count_operations(monkeypatch, lambda: save(path, 1))
    complete = []
    for budget in range(len(done)):
        shutil.rmtree(path.parent)
        crash_after(monkeypatch, budget, lambda: save(path, 1), torn=True)
        try:
            complete.append(load(path))
        except CheckpointError:
            complete.append(0)
        crash_after(monkeypatch, 3, lambda: save(path, 2))
        if complete[-1]:  # once something loads, a later crash does not take it away
            assert load(path) == 1
        save(path, 3)
        assert load(path) == 3
        assert siblings(path) == []
    assert complete == sorted(complete)
    assert (complete[0], complete[-1]) == (0, 1)


def test_a_full_disk_is_an_error_and_keeps_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "last"
    save(path, 1)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_space)
        with pytest.raises(CheckpointError, match=r"could not be saved \(No space left on device"):
            save(path, 2)
    assert load(path) == 1
    assert siblings(path) == []


def test_reading_while_another_saves(tmp_path):
    path = tmp_path / "last"
    save(path, 1)
    stop = threading.Event()
    failures = []

    def read():
        while not stop.is_set():
            try:
                load(path)
            except Exception as error:  # whatever it is, the test reports it
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for value in range(2, 40):
        save(path, value)
    stop.set()
    reader.join()
    assert failures == []


SAVER = """
    import itertools, sys
    sys.path.insert(0, {tests!r})
    from test_checkpoint_crash import save
    for value in itertools.count(2):
        save({path!r}, value)
        print(value, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the platform has no kill -9")
def test_kill_minus_nine(tmp_path):
    path = tmp_path / "last"
    save(path, 1)
    code = SAVER.format(tests=str(Path(__file__).parent), path=str(path))
    code = textwrap.dedent(code)
    rng = np.random.default_rng(0)
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as saver:
            acknowledged = int(saver.stdout.readline())
            try:
                saver.wait(timeout=rng.uniform(0, 0.05))
            except subprocess.TimeoutExpired:
                saver.kill()
            rest = saver.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged
        assert saver.returncode == -signal.SIGKILL
        assert load(path) in (acknowledged, acknowledged + 1)
        save(path, 1)
        assert siblings(path) == []
