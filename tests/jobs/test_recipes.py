"""The recipes of the shipped captioners can be run again as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from unrolled.captioner import Captioner
from unrolled.errors import InputError
from unrolled.jobs.config import RunConfig, read_toml

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_a_recipe_is_a_run(path: Path) -> None:
    assert RunConfig.from_sections(read_toml(path), path.name).training.epochs > 0


def test_the_shipped_captioner_was_trained_by_its_recipe() -> None:
    recipe = RunConfig.from_sections(read_toml(RECIPES / "default.toml"), "recipe").to_sections()
    trained = dict(Captioner.load().card["run"])
    trained["data"] = trained["data"] | {"path": ""}  # where the data lay is no part of it
    # Settings that there were not yet when it was trained had what is now their default.
    assert RunConfig.from_sections(trained, "card").to_sections() == recipe


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="precision"):
        RunConfig.from_sections({"model": {"precision": "bfloat8"}}, "test")
