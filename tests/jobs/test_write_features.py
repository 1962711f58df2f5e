"""Photos to a feature store: every photo once, in order, however often it was stopped."""

import numpy as np
import pytest

from unrolled.data import FeatureStore
from unrolled.errors import FeatureStoreError, ImageError, InputError
from unrolled.jobs.features import FeatureProgress, photos_by_name, write_features
from unrolled.vision import Encoder


@pytest.fixture(scope="module")
def encoder(cache_of_encoders):
    return Encoder.load("lite0", size=64)


@pytest.fixture
def some_photos(photos):
    """Five of them."""
    return dict(list(photos_by_name(photos).items())[:5])


@pytest.fixture
def one_is_bad(some_photos, tmp_path):
    """The same, but the third is no photo."""
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    name = list(some_photos)[2]
    return some_photos | {name: bad}, name


class Watched:
    """An encoder that tells which photos it was asked for."""

    def __init__(self, encoder):
        self.encoder = encoder
        self.asked = []

    def __getattr__(self, name):
        return getattr(self.encoder, name)

    def features(self, paths, **options):
        self.asked += list(paths)
        return self.encoder.features(self.asked, ahead=1, **options)


def test_every_photo_has_the_encoders_features_under_its_name(some_photos, encoder, tmp_path):
    told = list(write_features(some_photos, tmp_path / "f.st", encoder))
    assert told == [FeatureProgress(done, 5) for done in range(6)]
    store = FeatureStore.open(tmp_path / "f.st")
    store.verify()
    assert store.names == tuple(some_photos)
    assert store.encoder == encoder.identity
    assert store.grid is None
    assert [path.name for path in tmp_path.iterdir()] == ["f.st"]
    for photo in encoder.features(some_photos.values()):
        np.testing.assert_allclose(
            store.pooled[store.index(photo.path.name)], photo.pooled, rtol=1e-4, atol=1e-5
        )


def test_the_grid_is_kept_where_it_is_asked_for(some_photos, encoder, tmp_path):
    list(write_features(some_photos, tmp_path / "f.st", encoder, grid=True))
    store = FeatureStore.open(tmp_path / "f.st")
    side, _, dim = encoder.grid_shape
    assert store.grid.shape == (5, side * side, dim)
    np.testing.assert_allclose(
        store.grid.mean(axis=1, dtype=float), store.pooled, rtol=1e-2, atol=0.02
    )
    for photo in encoder.features(list(some_photos.values())[:1], grid=True):
        np.testing.assert_allclose(
            store.grid[0].reshape(side, side, dim), photo.grid, rtol=2e-3, atol=2e-3
        )


@pytest.mark.parametrize("stop_after", range(6))
def test_one_that_was_stopped_goes_on_to_the_same_bytes(some_photos, encoder, tmp_path, stop_after):
    list(write_features(some_photos, tmp_path / "whole.st", Watched(encoder)))
    events = write_features(some_photos, tmp_path / "f.st", Watched(encoder))
    for _ in range(stop_after + 1):
        next(events)
    events.close()  # as Ctrl-C does
    assert not (tmp_path / "f.st").exists()
    watched = Watched(encoder)
    told = list(write_features(some_photos, tmp_path / "f.st", watched))
    assert [path.name for path in watched.asked] == list(some_photos)[stop_after:]
    assert told[0] == FeatureProgress(stop_after, 5)
    assert told[-1] == FeatureProgress(5, 5)
    assert (tmp_path / "f.st").read_bytes() == (tmp_path / "whole.st").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"f.st", "whole.st"}


def test_a_photo_that_cannot_be_read_stops_the_work_and_what_was_done_is_kept(
    one_is_bad, encoder, tmp_path
):
    photos, bad = one_is_bad
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        list(write_features(photos, tmp_path / "f.st", Watched(encoder)))
    assert not (tmp_path / "f.st").exists()
    watched = Watched(encoder)
    list(write_features(photos, tmp_path / "f.st", watched, skip_bad=True))
    assert watched.asked == [photos[name] for name in list(photos)[2:]]
    assert FeatureStore.open(tmp_path / "f.st").names == tuple(n for n in photos if n != bad)


def test_photos_that_cannot_be_read_are_told_and_left_out(one_is_bad, encoder, tmp_path):
    photos, bad = one_is_bad
    told = list(write_features(photos, tmp_path / "f.st", encoder, skip_bad=True))
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert {event.total for event in told} == {5}
    assert [str(event.bad) for event in told if event.bad] == [str(told[-1].bad)]
    assert "bad.jpg" in str(told[-1].bad)
    store = FeatureStore.open(tmp_path / "f.st")
    assert bad not in store
    assert len(store) == 4


def test_no_photo_that_can_be_read_is_an_error(one_is_bad, encoder, tmp_path):
    photos, bad = one_is_bad
    with pytest.raises(InputError, match=r"f\.st: none of the 1 photos can be read"):
        list(write_features({bad: photos[bad]}, tmp_path / "f.st", encoder, skip_bad=True))
    assert not (tmp_path / "f.st").exists()


@pytest.mark.parametrize("change", ["encoder", "grid", "photos"])
def test_one_that_was_begun_otherwise_is_not_gone_on_with(some_photos, encoder, tmp_path, change):
    events = write_features(some_photos, tmp_path / "f.st", encoder)
    next(events)
    events.close()
    if change == "encoder":
        encoder = Encoder.load("lite0", size=96)
    if change == "photos":
        some_photos = dict(list(some_photos.items())[1:])
    with pytest.raises(FeatureStoreError, match=r"f\.st\.partial: begun with"):
        list(write_features(some_photos, tmp_path / "f.st", encoder, grid=change == "grid"))


def test_a_finished_store_is_replaced_when_the_next_is_whole(some_photos, encoder, tmp_path):
    list(write_features(some_photos, tmp_path / "f.st", encoder))
    before = (tmp_path / "f.st").read_bytes()
    fewer = dict(list(some_photos.items())[:2])
    for event in write_features(fewer, tmp_path / "f.st", Watched(encoder)):
        if event.done < 2:
            assert (tmp_path / "f.st").read_bytes() == before
    assert len(FeatureStore.open(tmp_path / "f.st")) == 2
