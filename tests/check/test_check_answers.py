"""What the student's process answers is data: whatever it holds, it ends in a verdict."""

from __future__ import annotations

import contextlib
import copy
import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.check import calls, plain, wire
from unrolled.check.answers import check_answer
from unrolled.check.checker import Checker
from unrolled.check.results import FunctionResult
from unrolled.check.sandbox import Ended

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(-1, 9), max_size=3),
    st.dictionaries(st.sampled_from(["type", "outs", "$"]), st.text(max_size=3), max_size=2),
    st.builds(np.zeros, st.sampled_from([(), (0,), (1,), (2, 3), (4, 3)]), st.sampled_from("?if")),
)


def places(value, path=()):
    """Every place in nested dicts and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


def spoilt(answer, data):
    """Put something else in a place or two, or take away what is there."""
    for _ in range(data.draw(st.integers(1, 2))):
        every = list(places(answer))
        path = every[data.draw(st.integers(0, len(every) - 1))]
        parent = answer
        for key in path[:-1]:
            parent = parent[key]
        if data.draw(st.booleans()):
            parent[path[-1]] = data.draw(junk)
        elif isinstance(parent, dict):
            del parent[path[-1]]
        else:
            parent.pop(path[-1])
    return answer


@functools.cache
def right_answer(key):
    return {"answers": [calls.run(plain.FUNCTIONS, call, "numpy") for call in CALLS[key]]}


CALLS = {}
PAIRS = ("rnn_step", "lstm", "word_embedding", "temporal_affine")


@settings(max_examples=150, deadline=None)
@given(stem=st.sampled_from([*PAIRS, "temporal_softmax_loss"]), data=st.data())
def test_whatever_is_answered_there_is_a_verdict(stem, data):
    names = [stem] if stem in plain.FUNCTIONS else [f"{stem}_forward", f"{stem}_backward"]
    victim = data.draw(st.sampled_from(names))

    def run(asked, _replaced):
        key = asked[0]["do"], asked[0]["function"]
        CALLS[key] = asked
        answer = {"failures": {}, **copy.deepcopy(right_answer(key))}
        if asked[0]["function"] == victim:
            answer = spoilt(answer, data)
        try:
            return Ended(check_answer(answer, asked))
        except ValueError:
            return Ended(None, "exits")

    results = list(Checker("numpy", frozenset(names), frozenset(), run, {}).run())
    assert all(isinstance(each, FunctionResult) for each in results)
    for each in results:
        for diagnosis in each.diagnoses:
            assert diagnosis.message("en")
            assert diagnosis.message("zh")


ANSWER = {"answers": [{"outs": [np.arange(3.0), None], "count": 2}], "tries": ["a"], "failures": {}}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_are_an_error_of_ours(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer"
        wire.write(path, ANSWER)
        file = path.with_suffix(data.draw(st.sampled_from([".json", ".npz"])))
        raw = bytearray(file.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(raw) - 1))
            raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        file.write_bytes(raw)
        with contextlib.suppress(ValueError, OSError):
            wire.read(path)


@pytest.mark.parametrize("key", ['["a0"]', "7", "null", '"a9"', '"../x"', '{"$": "a0"}'])
def test_names_that_no_array_has(tmp_path, key):
    wire.write(tmp_path / "answer", ANSWER)
    (tmp_path / "answer.json").write_text(f'{{"answers": {{"$": {key}}}}}')
    with pytest.raises(ValueError, match="cannot be read"):
        wire.read(tmp_path / "answer")


def test_a_member_that_is_no_array(tmp_path):
    import zipfile

    wire.write(tmp_path / "answer", ANSWER)
    with zipfile.ZipFile(tmp_path / "answer.npz", "w") as archive:
        archive.writestr("a0.npy", b"no array at all")
        archive.writestr("a1", b"nor this")
    for key in ("a0", "a1"):
        (tmp_path / "answer.json").write_text(f'{{"answers": {{"$": "{key}"}}}}')
        with pytest.raises(ValueError, match=r"cannot be read|no numbers"):
            wire.read(tmp_path / "answer")


def test_an_answer_of_another_form_is_refused():
    call = {"do": "forward", "function": "f", "args": [np.zeros(2)], "outs": 1}
    right = {"count": 1, "outs": [np.zeros(2)], "changed": [0], "repeats": True}
    whole = {"answers": [right], "failures": {}}
    assert check_answer(whole, [call]) == whole
    wrong = [
        {"count": 2},
        {"outs": []},
        {"outs": np.zeros(1)},
        {"outs": [{"type": 3}]},
        {"changed": [1]},
        {"repeats": 1},
        {"error": {"type": "x"}},
        {"error": None},
    ]
    for change in wrong:
        with pytest.raises(ValueError, match="not of the form"):
            check_answer({"answers": [right | change], "failures": {}}, [call])
    for answer in ([], {"answers": {}}, {"answers": [right]}, {"answers": [right] * 2} | whole):
        if answer != whole:
            with pytest.raises(ValueError, match="not of the form"):
                check_answer(answer, [call])
