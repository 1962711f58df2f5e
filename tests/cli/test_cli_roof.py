"""What all commands share: help, version, quick starts, and ends in peace."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import unrolled
from commands import CODE, call, start, surroundings
from unrolled.errors import InputError

COMMANDS = [
    "caption",
    "alt",
    "features",
    "train",
    "evaluate",
    "info",
    "export",
    "bench",
    "check",
    "serve",
    "lab",
]
HEAVY = {
    *("torch", "matplotlib", "onnx", "onnxruntime", "PIL", "h5py", "pycocoevalcap"),
    *("typer", "rich", "safetensors", "platformdirs"),
}


def imported_by(code):
    """Top names of all modules that some code imports, in a fresh process."""
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", env=surroundings()
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_unrolled_imports_nothing_heavy():
    """What keeps it under 0.3 s; times are no matter for a test."""
    assert not (HEAVY | {"numpy"}) & imported_by("import unrolled")


def test_the_command_line_imports_nothing_that_few_commands_need():
    """So that --help comes at once."""
    few = {"torch", "matplotlib", "onnx", "onnxruntime", "h5py", "pycocoevalcap"}
    assert not few & imported_by("import unrolled.cli")


def test_version(cli):
    said = cli("--version")
    assert (said.code, said.out, said.err) == (0, f"unrolled {unrolled.__version__}\n", "")


def test_the_package_is_run_as_the_command_is():
    done = subprocess.run(
        [sys.executable, "-m", "unrolled", "--version"],
        capture_output=True,
        encoding="utf-8",
        env=surroundings(),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"unrolled {unrolled.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_and_gives_an_example(cli, command, flag):
    said = cli(command, flag)
    assert (said.code, said.err) == (0, "")
    assert re.search(rf"(Example: |Examples:\s+)unrolled {command} ", said.out)
    assert "--help" in said.out


def test_the_commands_are_all_there(cli):
    said = cli("--help")
    assert (said.code, said.err) == (0, "")
    assert re.findall(r"^│ ([a-z]+) ", said.out, re.MULTILINE) == COMMANDS
    assert "Example: unrolled caption holiday.jpg" in said.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["capton"], "capton"),
        (["caption", "--jsn", "a.jpg"], "--jsn"),
        (["train"], "--out"),
        (["train", "--out", "x", "--epochs", "many"], "--epochs"),
        (["train", "--out", "x", "--dropout", "half"], "--dropout"),
        (["features", "a"], "--out"),
        (["evaluate", "a"], "--data"),
        (["export", "a"], "--out"),
        (["info", "a", "b"], "b"),
    ],
    ids=" ".join,
)
def test_a_wrong_use_is_said_in_words(cli, arguments, named):
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    assert named in said.err
    assert "Traceback" not in said.err


# Ends


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [(["info"], ""), (["info", "--json"], "1"), (["train", "--help"], "")],
)
def test_a_reader_that_has_gone_is_no_error(run_folder, arguments, unbuffered):
    if "info" in arguments:
        arguments = [*arguments, run_folder / "best"]
    reading, writing = os.pipe()
    os.close(reading)  # as `| true` does, but surely in time
    env = surroundings(PYTHONUNBUFFERED=unbuffered)
    process = start(*arguments, stdout=writing, env=env)
    os.close(writing)
    _, err = process.communicate(timeout=300)
    assert err == ""
    assert process.returncode in (1, 141)


def test_a_reader_that_takes_a_line_gets_it(captioner_folder, photos):
    process = start("caption", photos, "--csv", "--model", captioner_folder)
    assert process.stdout.readline() == "path,caption,log_prob\n"
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=300)
    assert err == ""
    assert process.returncode in (0, 1, 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_full_is_said(run_folder):
    with Path("/dev/full").open("w") as full:
        said = call("info", run_folder / "best", stdout=full)
    assert said.code == 2
    assert said.err == "error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("a.jpg: no"), 2, "error: a.jpg: no\n"),
        (MemoryError("Unable to allocate 1 TiB"), 2, "error: not enough memory. Unable to"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: [Errno 13] Permission denied"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_is_said_in_words(cli, monkeypatch, error, code, words):
    def load(_path):
        raise error

    monkeypatch.setattr("unrolled.captioner.Captioner.load", load)
    said = cli("info", "x")
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith(words)
    assert "Traceback" not in said.err


def test_a_bug_of_ours_is_a_traceback(monkeypatch):
    """It must not look like a mistake of the person's."""
    code = "from unrolled.captioner import Captioner\nCaptioner.load = lambda p: [][1]\n" + CODE
    said = call("info", "x", code=code)
    assert said.code == 1
    assert "IndexError" in said.err
