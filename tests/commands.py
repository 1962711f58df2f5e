"""The command line, called as a person calls it: in this process to be quick, or in its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

CODE = "from unrolled.cli import main; main()"


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


def call_here(*arguments: object, draw: bool = False) -> int:
    """Call a command in this process, to be quick; gives back its exit status.

    Nothing is flushed to the disk, and no curves are drawn unless that is asked for: it takes
    longer than the training.
    """
    from unrolled.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _descriptor: None)
        if not draw:
            patch.setattr("unrolled.plots.plot_run", lambda *_arguments, **_options: None)
        patch.setattr(sys, "argv", ["unrolled", *map(str, arguments)])
        try:
            main()
        except SystemExit as stopped:
            return stopped.code or 0
    return 0


def call(*arguments: object, **options: object) -> Said:
    """Call a command in a process of its own."""
    process = start(*arguments, **options)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    return Said(process.returncode, out, err)


def start(*arguments: object, code: str = CODE, **options: object) -> subprocess.Popen[str]:
    """Start a command in a process of its own, to be watched and stopped."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        **{
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "encoding": "utf-8",
            "env": surroundings(),
            **options,
        },
    )


def surroundings(**more: str) -> dict[str, str]:
    """Give the environment of a plain terminal, whatever that of the tests is."""
    odd = ("PYTHONUNBUFFERED", "PYTHONIOENCODING", "FORCE_COLOR", "COLUMNS")
    plain = {name: value for name, value in os.environ.items() if name not in odd}
    return plain | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | more


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
