"""The recipes of the shipped captioners can be run again as they stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from unrolled.captioner import Captioner, shipped
from unrolled.errors import InputError
from unrolled.jobs.config import RunConfig, read_toml

RECIPES = Path(__file__).parents[2] / "recipes"
PHASES = {"default": ("default",), "strong": ("strong", "strong-self-critical")}
"""What a captioner that ships was trained by, one after the other."""


def recipe_of(name: str) -> RunConfig:
    return RunConfig.from_sections(read_toml(RECIPES / f"{name}.toml"), name)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_a_recipe_is_a_run(path: Path) -> None:
    assert recipe_of(path.stem).training.epochs > 0


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_captioner_was_trained_by_its_recipe(name: str) -> None:
    first, last = (recipe_of(PHASES[name][i]) for i in (0, -1))
    captioner = Captioner.load(name)
    trained = dict(captioner.card["run"])
    # Where the data, its features and the captioner it began with lay is no part of it; nor is how
    # captions are found, which was chosen on dev afterwards.
    places = {"path": "", "features": None, "encoder": last.data.encoder}
    training = trained["training"] | {"start": last.training.start}
    assert bool(trained["training"].get("start")) == (len(PHASES[name]) > 1)
    trained |= {
        "data": trained["data"] | places,
        "training": training,
        "decoding": last.to_sections()["decoding"],
    }
    # Settings that there were not yet when it was trained had what is now their default.
    assert RunConfig.from_sections(trained, "card") == replace(last, model=first.model)
    assert captioner.decoding == first.decoding == last.decoding
    sizes = [part.partition("@") for part in str(first.data.encoder).split("+")]
    assert captioner.encoder["name"] == "+".join(encoder for encoder, _, _ in sizes)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="precision"):
        RunConfig.from_sections({"model": {"precision": "bfloat8"}}, "test")
