from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flickr8k_dev import candidates_and_references

from unrolled.errors import MissingExtraError, UnrolledError
from unrolled.metrics import java_is_there, score
from unrolled.metrics.java import PTB, meteor_counts, ptb_tokenize

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java here")


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a shell script in Java's place."""

    def put(script: str) -> None:
        program = tmp_path / "java"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return put


def children() -> set[str]:
    """The processes that this one has started and not yet seen the end of."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    if not listed.exists():
        pytest.skip("needs /proc to see processes")
    return set(listed.read_text().split())


def test_without_java_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not java_is_there()
    with pytest.raises(MissingExtraError, match=r"METEOR needs Java.*install a Java runtime"):
        score({"a": "x"}, {"a": ["x"]}, metrics=["METEOR"])
    with pytest.raises(MissingExtraError, match="PTB tokeniser needs Java"):
        score({"a": "x"}, {"a": ["x"]}, tokenizer="ptb")
    assert score({"a": "x"}, {"a": ["x"]}).corpus["ROUGE-L"] == 1.0


@pytest.mark.parametrize("module", ["tokenizer", "meteor.meteor"])
def test_says_what_to_install(module: str, fake_java, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java("exit 0")
    monkeypatch.setitem(sys.modules, f"pycocoevalcap.{module}", None)
    with pytest.raises(MissingExtraError, match=r'pip install "unrolled\[train\]"'):
        score({"a": "x"}, {"a": ["x"]}, metrics=["METEOR"], tokenizer="ptb")


def test_a_java_that_fails_is_no_traceback(fake_java) -> None:
    fake_java("echo 'Error: no memory' >&2; exit 1")
    with pytest.raises(UnrolledError, match=r"PTB tokeniser .* failed: Error: no memory"):
        ptb_tokenize(["a dog"])


def test_a_tokeniser_that_loses_lines_is_found_out(fake_java) -> None:
    fake_java("cat > /dev/null; echo one")
    with pytest.raises(UnrolledError, match="2 lines for 3 captions"):
        ptb_tokenize(["a", "b", "c"])


@pytest.mark.parametrize(
    "script", ["exit 1", "read line; exit 0", "while read l; do echo 1 2; done"]
)
def test_a_meteor_that_fails_is_no_traceback_and_no_deadlock(fake_java, script: str) -> None:
    fake_java(script)
    before = children()
    with pytest.raises(UnrolledError, match=r"METEOR .* failed"):
        meteor_counts(["a dog", "a cat"], [["a dog"], ["the cat"]])
    assert children() <= before
    gc.collect()  # an unclosed pipe or a lock still held would show now


def test_meteor_is_spoken_to_as_it_expects(fake_java, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    numbers = " ".join(map(str, range(23)))
    fake_java(f'while read -r line; do echo "$line" >> {heard}; echo {numbers}; done')
    # The sign that parts captions cannot be smuggled in.
    counts = meteor_counts(["a ||| dog"], [["the dog", "b|||c"]])
    assert counts.tolist() == [list(range(23))]
    assert heard.read_text().split("\n")[0].split(" ||| ") == ["SCORE", "the dog", "b c", "a dog"]


def test_an_interrupted_meteor_leaves_nothing(fake_java, monkeypatch: pytest.MonkeyPatch) -> None:
    from pycocoevalcap.meteor.meteor import Meteor

    def interrupted(self: Meteor, *_: object) -> None:
        self.lock.acquire()
        raise KeyboardInterrupt

    fake_java("sleep 60")
    monkeypatch.setattr(Meteor, "_stat", interrupted)
    before = children()
    with pytest.raises(KeyboardInterrupt):
        meteor_counts(["a dog"], [["a dog"]])
    assert children() <= before
    gc.collect()


@pytest.mark.peers
@needs_java
def test_agrees_with_the_reference_pipeline(capfd: pytest.CaptureFixture[str]) -> None:
    """The PTB tokeniser and all scorers, METEOR among them, against pycocoevalcap's own run."""
    candidates, references = candidates_and_references()
    first, second, *_ = candidates
    candidates[first] = ""  # a model that says nothing breaks nothing
    candidates[second] = references[second][0]  # nor does one that says all
    before = children()
    ours = score(
        candidates, references, metrics=["BLEU", "ROUGE", "CIDEr", "METEOR"], tokenizer="ptb"
    )
    assert capfd.readouterr() == ("", "")
    assert children() <= before
    assert ours.tokenizer == PTB

    said = [references[name] for name in references]
    theirs = _reference_scores([candidates[name] for name in references], said)
    assert ours.corpus == pytest.approx(theirs, abs=1e-6)

    # Without Java the words are the same, and so are the scores.
    assert score(candidates, references).corpus == pytest.approx(
        {name: value for name, value in theirs.items() if name != "METEOR"}, abs=1e-6
    )


def _reference_scores(candidates: list[str], references: list[list[str]]) -> dict[str, float]:
    """Scores from a process of its own, run as pycocoevalcap's documentation does."""
    program = """
import json, sys
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
candidates, references = json.load(sys.stdin)
gts = {i: [{"caption": t} for t in texts] for i, texts in enumerate(references)}
res = {i: [{"caption": t}] for i, t in enumerate(candidates)}
gts, res = PTBTokenizer().tokenize(gts), PTBTokenizer().tokenize(res)
bleu = Bleu(4).compute_score(gts, res, verbose=0)[0]
scores = {f"BLEU-{n}": value for n, value in enumerate(bleu, 1)}
for name, scorer in ("ROUGE-L", Rouge()), ("CIDEr", Cider()), ("METEOR", Meteor()):
    scores[name] = float(scorer.compute_score(gts, res)[0])
print(json.dumps(scores))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=json.dumps([candidates, references]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.peers
@needs_java
def test_ptb_words(monkeypatch: pytest.MonkeyPatch) -> None:
    # An ASCII locale must not spoil letters beyond it; line ends inside a caption are spaces.
    monkeypatch.setenv("LC_ALL", "C")
    captions = ["", "A café’s dog.", "two\nlines\u2028here", "", "...", "22 3/4 St.", ""]
    words = [[], ["a", "café", "'s", "dog"], ["two", "lines", "here"], [], []]
    words += [["22", "3/4", "st."], []]
    assert ptb_tokenize(captions) == words
    assert ptb_tokenize([""]) == [[]]
