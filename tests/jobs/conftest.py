"""Training runs of the small world, without what takes time and decides nothing."""

import pytest

from unrolled.jobs.config import RunConfig

MODEL = {"wordvec_dim": 8, "hidden_dim": 8, "dropout": 0.3, "precision": "float32"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    monkeypatch.setattr("unrolled.plots.plot_run", lambda *_arguments, **_options: None)


@pytest.fixture
def config(flickr8k, store):
    """Three epochs of four steps; keyword arguments go before."""

    def make(*, data=(), decoding=(), model=(), **training):
        sections = {
            "data": {"path": str(flickr8k), "features": str(store), "min_count": 1} | dict(data),
            "model": MODEL | dict(model),
            "training": {"epochs": 3, "batch_size": 4, "learning_rate": 0.05} | training,
            "decoding": dict(decoding),
        }
        return RunConfig.from_sections(sections, "test")

    return make
