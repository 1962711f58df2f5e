"""Splits by a hash: stable, near their shares, never empty where they need not be."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import hashed_splits
from unrolled.data.splits import SPLITS, canonical_split

names = st.lists(st.text(min_size=1, max_size=8).filter(lambda t: t.isprintable()), unique=True)


@settings(deadline=None)
@given(names=names, seed=st.integers(0, 9))
def test_order_does_not_matter_and_none_is_empty(names: list[str], seed: int) -> None:
    splits = hashed_splits(names)
    shuffled = random.Random(seed).sample(names, len(names))
    assert hashed_splits(shuffled) == splits
    assert list(splits) == names
    if len(names) >= 3:
        assert set(splits.values()) == set(SPLITS)


def test_shares_and_stability() -> None:
    many = [f"photo{number}.jpg" for number in range(20_000)]
    splits = hashed_splits(many)
    shares = {split: sum(s == split for s in splits.values()) / len(many) for split in SPLITS}
    # Five standard deviations of a binomial share.
    assert abs(shares["train"] - 0.8) < 0.015
    assert abs(shares["dev"] - 0.1) < 0.011
    assert abs(shares["test"] - 0.1) < 0.011
    fewer = hashed_splits(many[:5000])
    assert all(splits[name] == split for name, split in fewer.items())


def test_these_names_will_always_fall_here() -> None:
    """A change of the rule would mix people's training photos into their dev photos."""
    splits = hashed_splits(f"{number}.jpg" for number in range(20))
    held_out = {name: split for name, split in splits.items() if split != "train"}
    assert held_out == {"3.jpg": "dev", "10.jpg": "dev", "13.jpg": "test", "15.jpg": "test"}


def test_spellings() -> None:
    assert [canonical_split(n) for n in ("restval", "Val", " TEST ", "dev")] == [
        "train",
        "dev",
        "test",
        "dev",
    ]
    assert canonical_split("x") is None
