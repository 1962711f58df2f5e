"""Every message is said in Chinese where Chinese is asked for, down to the words that it quotes."""

from __future__ import annotations

import re

import pytest

from unrolled.check.cases import model_cases, sample_cases
from unrolled.check.diagnoses import Diagnosis, Words, how_many
from unrolled.check.messages import MESSAGES, WORDS
from unrolled.check.model_verdict import loss_suspects
from unrolled.check.network import REFUSED
from unrolled.check.reading import PYTHON2, read_sources
from unrolled.check.sample_verdict import sample_suspects
from unrolled.check.sources import read_submission
from unrolled.check.suspects import SUSPECTS, suspects_of

ENGLISH = re.compile(
    r"\b(the|of|on|is|are|to|and|an?|no|with|without|after|through|gets|twice|"
    r"values?|tuple|gate|step|file|folder|cell state|array|dict of)\b"
)
"""Words that stand in an English sentence, and in no name of the assignment."""


def assert_chinese(text):
    assert any("\u4e00" <= c <= "\u9fff" for c in text), text
    assert not ENGLISH.search(text), text


@pytest.mark.parametrize("code", MESSAGES)
def test_every_sentence(code):
    names = re.findall(r"\{(\w+)\}", MESSAGES[code][0])
    assert_chinese(Diagnosis(code, dict.fromkeys(names, "x")).message("zh"))
    assert ENGLISH.search(Diagnosis(code, dict.fromkeys(names, "the x")).message("en"))


def test_every_word():
    for _, chinese in WORDS.values():
        assert not ENGLISH.search(chinese), chinese


@pytest.mark.parametrize("name", SUSPECTS)
def test_every_known_mistake_of_a_layer(name):
    for suspect in suspects_of(name):
        assert_chinese(Diagnosis(suspect.code, suspect.values).message("zh"))


def test_every_known_mistake_of_the_model():
    suspects = [
        *loss_suspects([(case, {}) for case in model_cases()]),
        *sample_suspects([(case, {}) for case in sample_cases()]),
    ]
    for code, values, _ in suspects:
        assert_chinese(Diagnosis(code, values).message("zh"))


@pytest.mark.parametrize("what", [*set(REFUSED.values()), "write a file", "open a folder"])
def test_everything_that_is_refused(what):
    assert_chinese(Diagnosis("forbidden", {"what": what}).message("zh"))


def test_numbers_of_things():
    for count in (-1, 0, 1, 2):
        assert_chinese(how_many(count).zh)


def test_files_that_cannot_be_read(tmp_path):
    lines = ["print 3", "raise X, 3", "exec x", "1 <> 2", "`x`", "x = 0777", "10L", "ur''"]
    assert len(lines) + 2 == len(PYTHON2)
    file = tmp_path / "rnn_layers.py"
    for line in [*lines, "try:\n  x\nexcept X, e:\n  pass", "x = = 3"]:
        file.write_text(f"def rnn_step_forward(x, prev_h, Wx, Wh, b):\n    pass\n{line}\n")
        (source,) = read_sources(file)
        assert isinstance(source.fault, Words)
        assert_chinese(source.fault.zh.replace(line, ""))
        assert ("Python 2" in source.fault.en) == ("= =" not in line)


RIGHT = """
import unrolled
import numpy as np

def word_embedding_forward(x, W):
    return W[x], np.int
"""


def test_remarks(tmp_path):
    for name in ("rnn_layers.py", "more.py"):
        (tmp_path / name).write_text(RIGHT)
    (tmp_path / "bad.ipynb").write_text("no notebook")
    remarks = read_submission(tmp_path).remarks
    assert len(remarks) == 6
    for remark in remarks:
        assert_chinese(re.sub(r"（Expecting .*）", "", remark.zh))
