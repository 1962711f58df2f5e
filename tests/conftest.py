"""The small world, made once; and the command line, called as a person calls it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import small_world
from commands import Said, call_here
from small_world import FLAGS, SEEING

# What a shell starts in the background has Ctrl-C ignored, and so have the commands it starts in
# turn: the tests that interrupt one would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure.
settings.register_profile("unrolled", deadline=None)
settings.load_profile("unrolled")


@pytest.fixture(scope="session")
def cache_of_encoders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the encoders' graphs out of the cache of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def flickr8k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen photos in Flickr8k's layout; not to be changed."""
    return small_world.write_flickr8k(tmp_path_factory.mktemp("small") / "flickr8k")


@pytest.fixture(scope="session")
def photos(flickr8k: Path) -> Path:
    """Their folder."""
    return flickr8k / "Flicker8k_Dataset"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of the fourteen, six numbers each, by an encoder that does not exist."""
    return small_world.write_store(tmp_path_factory.mktemp("features") / "made-up.safetensors")


@pytest.fixture(scope="session")
def lite_store(photos: Path, tmp_path_factory: pytest.TempPathFactory, cache_of_encoders) -> Path:
    """Features of the fourteen by the default network, on photos of 64 pixels to be quick."""
    from unrolled.jobs.features import photos_by_name, write_features
    from unrolled.vision import Encoder

    path = tmp_path_factory.mktemp("features") / "lite.safetensors"
    for _ in write_features(photos_by_name(photos), path, Encoder.load("lite0", size=64)):
        pass
    return path


@pytest.fixture(scope="session")
def run_folder(flickr8k: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert call_here("train", "--data", flickr8k, "--features", store, "--out", out, *FLAGS) == 0
    return out


@pytest.fixture(scope="session")
def captioner_folder(
    flickr8k: Path, lite_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A captioner that can see: trained on the default network's features; not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "seeing"
    recipe = tmp_path_factory.mktemp("recipe") / "seeing.toml"
    recipe.write_text(SEEING, encoding="utf-8")
    source = ("--data", flickr8k, "--features", lite_store, "--config", recipe)
    assert call_here("train", *source, "--out", out) == 0
    return out / "best"


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call a command in this process; gives back what it said."""

    def run(*arguments: object) -> Said:
        capfd.readouterr()
        code = call_here(*arguments)
        return Said(code, *capfd.readouterr())

    return run
