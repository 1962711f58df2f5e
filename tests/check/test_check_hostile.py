"""Hostile files: each ends in one clear line for its function, and the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import planted
import pytest

from unrolled.check import Limits, check_path
from unrolled.errors import InputError

RIGHT = (planted.SOLUTION / planted.LAYERS).read_text(encoding="utf-8")
HOSTILE = {
    "rnn_step_forward": ("while True: pass", "too-slow"),
    "rnn_step_backward": ("exit()", "exits"),
    "rnn_forward": ("import os; os._exit(0)", "exits"),
    "rnn_backward": ("while True: print('x' * 1000)", "too-much-output"),
    "word_embedding_forward": ("np.ones((10, 1 << 27))", "too-much-memory"),
    "word_embedding_backward": ("import os; os.abort()", "crashes"),
    "lstm_step_forward": ("import socket; socket.create_connection(('1.1.1.1', 80))", "forbidden"),
    "lstm_step_backward": ("import subprocess; subprocess.run(['ls'])", "forbidden"),
    "lstm_forward": ("open('/tmp/unrolled-was-here', 'w')", "forbidden"),
    "lstm_backward": ("import os; [os.fork() for _ in range(9)]", "forbidden"),
    "temporal_affine_forward": ("raise KeyboardInterrupt", "exits"),
    "temporal_affine_backward": ("(lambda f: f(f))(lambda f: f(f))", "raises"),
}


ESCAPING = {
    "rnn_step_forward": ("open('a', 'w').close(); os.rename('a', OUTSIDE)", "forbidden"),
    "word_embedding_forward": ("os.mkdir(OUTSIDE)", "forbidden"),
    "lstm_step_forward": (
        "os.open('a', os.O_CREAT | os.O_WRONLY, dir_fd=os.open(os.path.dirname(OUTSIDE), 0))",
        "forbidden",
    ),
    "temporal_affine_forward": ("os.chmod(os.open(BESIDE, 0), 0o777)", "forbidden"),
    "temporal_softmax_loss": (
        "open('answer.json', 'w').write('[]'); np.savez('answer.npz'); os._exit(0)",
        "exits",
    ),
}


def written(path: Path, lines: dict[str, tuple[str, str]], before: str = "") -> Path:
    text = before + RIGHT
    for name, (line, _) in lines.items():
        head = text.index("\n", text.index(f"def {name}(")) + 1
        text = text[:head] + f"    {line}\n" + text[head:]
    path.write_text(text, encoding="utf-8")
    return path


def test_what_leaves_its_folder_is_refused_and_a_forged_answer_is_none(tmp_path: Path):
    beside = tmp_path / "mine"
    beside.touch(mode=0o600)
    before = f"import os\nOUTSIDE, BESIDE = {str(tmp_path / 'a')!r}, {str(beside)!r}\n"
    report = check_path(written(tmp_path / "rnn_layers.py", ESCAPING, before))
    found = {f.name: (f.status, f.diagnoses[0].code) for f in report.functions if f.diagnoses}
    assert {name: found[name] for name in ESCAPING} == {
        name: ("error", code) for name, (_, code) in ESCAPING.items()
    }
    assert beside.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "limits", [Limits(float("nan")), Limits(float("inf")), Limits(10, 1 << 60), Limits(0)]
)
def test_limits_that_cannot_be(tmp_path: Path, limits: Limits):
    with pytest.raises(InputError, match="limits"):
        check_path(tmp_path, limits=limits)


def test_hostile_functions_end_and_the_others_go_on(tmp_path: Path):
    path = written(tmp_path / "rnn_layers.py", HOSTILE)
    report = check_path(path, limits=Limits(seconds=6))
    found = {f.name: (f.status, [d.code for d in f.diagnoses]) for f in report.functions}
    for name, (_, code) in HOSTILE.items():
        partner = name.replace("_backward", "_forward")
        codes = [code] if partner == name else [code, "not-checked"]
        assert found[name][0] == "error", name
        assert found[name][1][0] in codes, (name, found[name])
    assert found["temporal_softmax_loss"] == ("pass", [])
    assert not Path("/tmp/unrolled-was-here").exists()
    json.dumps(report.to_json("zh"))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("import sys; sys.exit(3)", "exits"),
        ("import os; os.kill(os.getpid(), 9)", "forbidden"),
        ("import ctypes; ctypes.string_at(0)", "crashes"),
        ("import threading; threading.Event().wait()", "too-slow"),
        ("import shutil; shutil.rmtree('/tmp/nothing-here')", "forbidden"),
        ("import sys; sys.stdout.write('y' * 2**21)", "too-much-output"),
        ("import numpy; numpy.add = None; numpy.allclose = lambda *a, **k: True", None),
    ],
)
def test_hostile_backward(tmp_path: Path, line: str, code: str | None):
    head = RIGHT.index("def word_embedding_backward")
    head = RIGHT.index("\n", head) + 1
    path = tmp_path / "layers.py"
    path.write_text(RIGHT[:head] + f"    {line}\n" + RIGHT[head:], encoding="utf-8")
    report = check_path(path, limits=Limits(seconds=6))
    results = {f.name: f for f in report.functions}
    mine = results.pop("word_embedding_backward")
    if code:
        assert (mine.status, mine.diagnoses[0].code) == ("error", code)
        assert mine.diagnoses[0].message("en") != mine.diagnoses[0].message("zh")
    else:
        assert mine.status in ("error", "fail")
    assert {f.status for f in results.values()} == {"pass", "missing"}


def test_file_that_never_ends_its_import_is_checked_by_its_definitions(tmp_path: Path):
    path = tmp_path / "rnn_layers.py"
    path.write_text(RIGHT + "\nraise SystemExit('trained enough')\n", encoding="utf-8")
    assert check_path(path).passed == 13
