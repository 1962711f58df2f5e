"""SPICE is asked as its program expects, answers are read with care, and what lacks is named.

Its parser is nowhere to be installed from, so a script stands in Java's place. Where the parser is
there, the last test runs the program itself.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from unrolled.errors import MissingExtraError, UnrolledError
from unrolled.metrics import score
from unrolled.metrics.spice import _JARS, _program, spice


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The scorers' folder, with the parser's jars in it."""
    get_stanford_models = pytest.importorskip("pycocoevalcap.spice.get_stanford_models")
    folder = tmp_path / "spice"
    (folder / "lib").mkdir(parents=True)
    for name in _JARS:
        (folder / "lib" / name).touch()
    monkeypatch.setattr(get_stanford_models, "__file__", str(folder / "get_stanford_models.py"))
    return folder


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a script in Java's place; its $4 is the question, and its $6 where the answer goes."""

    def put(script: str) -> None:
        program = tmp_path / "java"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


def test_it_is_asked_and_answers(package: Path, java, tmp_path: Path) -> None:
    told = [{"image_id": n, "scores": {"All": {"f": f}}} for n, f in ((1, 0.25), (0, 0.5))]
    (tmp_path / "told").write_text(json.dumps(told))
    java(f'echo "$@" > {tmp_path}/asked; cp "$4" {tmp_path}/question; cp {tmp_path}/told "$6"')
    candidates, references = {"b": "A dog.", "a": "é"}, {"b": ["Dogs!", "a dog"], "a": ["a cat"]}
    scores = score(candidates, references, metrics=["SPICE"])
    assert scores.corpus == {"SPICE": 0.375}
    assert scores.of("b") == {"SPICE": 0.5}
    assert json.loads((tmp_path / "question").read_text()) == [
        {"image_id": 0, "test": "a dog", "refs": ["dogs", "a dog"]},
        {"image_id": 1, "test": "é", "refs": ["a cat"]},
    ]
    asked = (tmp_path / "asked").read_text().split()
    assert asked[:3] == ["-Xmx8G", "-jar", str(package / "spice-1.0.jar")]
    assert not Path(asked[3]).parent.exists()


@pytest.mark.parametrize("value", ["null", "NaN"])
def test_no_score_is_worth_nothing(package: Path, java, tmp_path: Path, value: str) -> None:
    (tmp_path / "told").write_text(f'[{{"image_id": 0, "scores": {{"All": {{"f": {value}}}}}}}]')
    java(f'cp {tmp_path}/told "$6"')
    assert spice(["x"], [["y"]]) == [0.0]


@pytest.mark.parametrize(
    "script",
    [
        "echo 'Exception: no parser' >&2; exit 1",
        "exit 0",
        'echo nonsense > "$6"',
        'echo "[]" > "$6"',
        'echo "[7]" > "$6"',
    ],
)
def test_a_program_that_fails_is_no_traceback(package: Path, java, script: str) -> None:
    java(script)
    with pytest.raises(UnrolledError, match=r"SPICE .* failed"):
        spice(["x"], [["y"]])


def test_a_missing_parser_is_named(package: Path, java) -> None:
    java("exit 0")
    (package / "lib" / _JARS[1]).unlink()
    with pytest.raises(MissingExtraError, match=rf"needs Stanford CoreNLP 3.6.0.*{_JARS[1]}.*lib"):
        spice(["x"], [["y"]])


def test_without_java_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtraError, match="SPICE needs Java"):
        spice(["x"], [["y"]])


@pytest.mark.peers
@pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")
def test_the_program_itself() -> None:
    try:
        _program()
    except MissingExtraError as error:
        pytest.skip(str(error))
    same, near, far = spice(
        ["a brown dog runs", "a dog runs", "a red car"], [["a brown dog runs"]] * 3
    )
    assert 1 == same > near > far == 0
