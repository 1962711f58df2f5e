"""The vocabulary: what is taken in, its order, its file, and what a wrong file says."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import SPECIALS, TOKENIZER, Vocabulary, tokenize
from unrolled.errors import DataError, InputError

words = st.sampled_from(["a", "b", "c", "dog", "狗", "'s", "<END>", "<UNK>"])
captions = st.lists(st.lists(words, max_size=6), max_size=12)


@settings(deadline=None)
@given(captions=captions, min_count=st.integers(1, 4), max_size=st.none() | st.integers(4, 9))
def test_build_against_counting(captions, min_count: int, max_size: int | None) -> None:
    vocabulary = Vocabulary.build(captions, min_count, max_size)
    counts = Counter(word for caption in captions for word in caption)
    plain = vocabulary.words[4:]
    assert vocabulary.words[:4] == SPECIALS == ("<NULL>", "<START>", "<END>", "<UNK>")
    ranks = [(-counts[word], word) for word in plain]
    assert ranks == sorted(ranks)
    assert not set(plain) & set(SPECIALS)
    enough = {w for w, n in counts.items() if n >= min_count and w not in SPECIALS}
    if max_size is None:
        assert set(plain) == enough
    else:
        assert len(vocabulary) == min(max_size, 4 + len(enough))
        left = [(-counts[word], word) for word in enough - set(plain)]
        assert not (left and ranks) or max(ranks) < min(left)
    assert Vocabulary.build(captions[::-1], min_count, max_size) == vocabulary


@settings(deadline=None)
@given(photos=st.lists(captions, max_size=5))
def test_rarity_against_counting(photos) -> None:
    plain = Vocabulary((*SPECIALS, "a", "b", "dog"))
    vocabulary = plain.weigh(photos)
    assert vocabulary.words == plain.words
    assert vocabulary.min_count == plain.min_count
    for word, rarity in zip(vocabulary.words, vocabulary.rarity, strict=True):
        having = sum(any(word in caption for caption in photo) for photo in photos)
        share = max(having, 1) / max(len(photos), 1)
        assert rarity == pytest.approx(-math.log(share), abs=1e-4)


@settings(deadline=None)
@given(captions=captions, min_count=st.integers(1, 4), weighed=st.booleans())
def test_json_round_trip(captions, min_count: int, weighed: bool) -> None:
    vocabulary = Vocabulary.build(captions, min_count)
    if weighed:
        vocabulary = vocabulary.weigh([captions, captions[:2]])
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert again.word_to_idx == vocabulary.word_to_idx
    assert again.min_count == min_count


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "dog", "狗", "cat", "runs"]), max_size=9))
def test_encode_and_decode(caption: list[str]) -> None:
    vocabulary = Vocabulary((*SPECIALS, "a", "dog", "狗"))
    ids = vocabulary.encode(caption)
    assert (ids[0], ids[-1]) == (vocabulary.start, vocabulary.end)
    known = [word for word in caption if word in vocabulary]
    assert ids.count(vocabulary.unk) == len(caption) - len(known)
    assert vocabulary.decode(ids) == " ".join(known)
    assert vocabulary.decode([*ids, vocabulary.word_to_idx["dog"], vocabulary.null]) == " ".join(
        known
    )


def test_a_caption_cannot_say_special_words() -> None:
    vocabulary = Vocabulary((*SPECIALS, "a"))
    assert vocabulary.encode(["a", "<END>", "<NULL>", "a"]) == [1, 4, 3, 3, 4, 2]
    assert not set(tokenize("<END> a <START> <NULL> <UNK>")) & set(SPECIALS)


def test_ids_are_read_by_name_wherever_they_are() -> None:
    vocabulary = Vocabulary(("a", "<UNK>", "<END>", "<START>", "<NULL>"))
    ids = (vocabulary.null, vocabulary.start, vocabulary.end, vocabulary.unk)
    assert ids == (4, 3, 2, 1)
    assert vocabulary.encode(["a", "b"]) == [3, 0, 1, 2]
    assert vocabulary.decode([3, 0, 1, 4, 0, 2, 0]) == "a a"


def test_the_assignments_file_is_read_unchanged() -> None:
    words = [*SPECIALS, "a", "on", "of"]
    value = {"idx_to_word": words, "word_to_idx": {word: i for i, word in enumerate(words)}}
    vocabulary = Vocabulary.from_json(json.loads(json.dumps(value)))
    assert vocabulary.words == tuple(words)
    assert (vocabulary.tokenizer, vocabulary.min_count) == (TOKENIZER, 1)
    assert vocabulary.rarity is None
    assert "rarity" not in vocabulary.to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("idx_to_word"), "'idx_to_word' must be a list, got nothing"),
        (lambda v: v.update(idx_to_word="abc"), "'idx_to_word' must be a list, got str"),
        (lambda v: v.update(word_to_idx=[]), "'word_to_idx' must be a dict, got list"),
        (lambda v: v.update(min_count=True), "'min_count' must be a int, got bool"),
        (lambda v: v.update(min_count=0), "min_count must be at least 1"),
        (lambda v: v.update(tokenizer=3), "'tokenizer' must be a str"),
        (lambda v: v["idx_to_word"].append(["x"]), "must be a list of texts"),
        (lambda v: v["idx_to_word"].append(""), "word 6 is empty"),
        (lambda v: v["idx_to_word"].append("a"), "there more than once: a"),
        (lambda v: v["idx_to_word"].append("new"), "has 'new' at 6, word_to_idx says None"),
        (lambda v: v["idx_to_word"].remove("<END>"), "special words are missing: <END>"),
        (lambda v: v["word_to_idx"].update(a=5), "has 'a' at 4, word_to_idx says 5"),
        (lambda v: v["word_to_idx"].update(a=4.0), "has 'a' at 4, word_to_idx says 4.0"),
        (lambda v: v["word_to_idx"].update(x=6), "only in word_to_idx: 'x'"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(change, message: str) -> None:
    value = Vocabulary((*SPECIALS, "a", "b")).to_json()
    change(value)
    with pytest.raises(DataError, match="vocabulary") as raised:
        Vocabulary.from_json(value)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(rarity="abcdef"), "'rarity' must be a list, got str"),
        (lambda v: v["rarity"].append(0), "the rarity of 7 words, where there are 6"),
        (lambda v: v["rarity"].__setitem__(4, -0.1), "got -0.1 of word 4"),
        (lambda v: v["rarity"].__setitem__(4, True), "got True of word 4"),
        (lambda v: v["rarity"].__setitem__(5, "2"), "got '2' of word 5"),
        (lambda v: v["rarity"].__setitem__(5, 10**400), "from 0 to 100, got 1000"),
        (lambda v: v["rarity"].__setitem__(5, math.nan), "from 0 to 100, got nan"),
    ],
)
def test_a_wrong_rarity_says_what_is_wrong(change, message: str) -> None:
    value = Vocabulary((*SPECIALS, "a", "b")).weigh([[["a"]], [["a", "b"]]]).to_json()
    change(value)
    with pytest.raises(DataError, match="vocabulary") as raised:
        Vocabulary.from_json(value)
    assert message in str(raised.value)


def test_wrong_arguments() -> None:
    with pytest.raises(DataError, match="expected an object, got list"):
        Vocabulary.from_json([])
    with pytest.raises(InputError, match="max_size must hold the 4 special words, got 3"):
        Vocabulary.build([], max_size=3)
    with pytest.raises(InputError, match="min_count must be at least 1, got 0"):
        Vocabulary.build([], min_count=0)
    with pytest.raises(InputError, match=r"ids are in \[0, 4\), got 4"):
        Vocabulary(SPECIALS).decode([4])
    with pytest.raises(InputError, match="got -1"):
        Vocabulary(SPECIALS).decode([-1])
