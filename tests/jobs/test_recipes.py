"""The recipes of the shipped captioners can be run again as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from unrolled.captioner import Captioner, shipped
from unrolled.errors import InputError
from unrolled.jobs.config import RunConfig, read_toml

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_a_recipe_is_a_run(path: Path) -> None:
    assert RunConfig.from_sections(read_toml(path), path.name).training.epochs > 0


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_captioner_was_trained_by_its_recipe(name: str) -> None:
    recipe = RunConfig.from_sections(read_toml(RECIPES / f"{name}.toml"), "recipe")
    captioner = Captioner.load(name)
    trained = dict(captioner.card["run"])
    # Where the data and its features lay is no part of it; nor is how captions are found, which
    # was chosen on dev afterwards.
    places = {"path": "", "features": None, "encoder": recipe.data.encoder}
    trained |= {"data": trained["data"] | places, "decoding": recipe.to_sections()["decoding"]}
    # Settings that there were not yet when it was trained had what is now their default.
    assert RunConfig.from_sections(trained, "card") == recipe
    assert captioner.decoding == recipe.decoding
    sizes = [part.partition("@") for part in str(recipe.data.encoder).split("+")]
    assert captioner.encoder["name"] == "+".join(encoder for encoder, _, _ in sizes)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="precision"):
        RunConfig.from_sections({"model": {"precision": "bfloat8"}}, "test")
