"""Grids and views of photos, from the photos to the model."""

import numpy as np
import pytest
from training_runs import assert_same_run, run_until

from small_world import DIM, ENCODER, made_photos
from unrolled.captioner import Captioner
from unrolled.data import FeatureStore, FeatureWriter
from unrolled.errors import FeatureStoreError, InputError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.data import TrainingData, prepare
from unrolled.jobs.evaluate import evaluate
from unrolled.jobs.features import photos_by_name, write_features
from unrolled.jobs.scoring import validation_loss
from unrolled.jobs.train import train_run
from unrolled.model import CaptioningRNN
from unrolled.vision import VIEWS, Encoder

LOCATIONS = 4


@pytest.fixture(scope="module")
def encoder(cache_of_encoders):
    return Encoder.load("lite0", size=64)


@pytest.fixture(scope="module")
def view_store(tmp_path_factory):
    """Two views of each photo, pooled and at four places; the second view is the first's negative.

    So that a run that mistakes one for the other cannot go unnoticed.
    """
    path = tmp_path_factory.mktemp("views") / "views.safetensors"
    rng = np.random.default_rng(5)
    names = [made.name for made in made_photos()]
    with FeatureWriter(path, names, ENCODER, dim=DIM, locations=LOCATIONS, views=VIEWS[:2]) as each:
        for number, name in enumerate(names):
            grid = rng.normal(0, 0.1, (LOCATIONS, DIM))
            grid[:, number % 3] += 1
            grid[:, 3 + number % 2] += 1
            grid = grid.astype(np.float16)
            each.add(name, np.stack([grid.mean(0), -grid.mean(0)]), np.stack([grid, -grid]))
    return path


def prepared(config, out, **options):
    *_, data = prepare(config, out, **options)
    assert isinstance(data, TrainingData)
    return data


# The store


@pytest.mark.parametrize("stop_after", [0, 2, 5])
def test_views_of_photos_are_encoded_and_gone_on_with(photos, encoder, tmp_path, stop_after):
    few = dict(list(photos_by_name(photos).items())[:5])
    options = {"grid": True, "views": VIEWS}
    list(write_features(few, tmp_path / "whole.st", encoder, **options))
    events = write_features(few, tmp_path / "f.st", encoder, **options)
    for _ in range(stop_after + 1):
        next(events)
    events.close()
    list(write_features(few, tmp_path / "f.st", encoder, **options))
    stores = [FeatureStore.open(tmp_path / name) for name in ("f.st", "whole.st")]
    for store in stores:
        store.verify()
        assert (store.views, store.grid.shape) == (VIEWS, (5, 4, 1280))
    for photo in encoder.features(few.values(), grid=True, views=VIEWS):
        for number, view in enumerate(VIEWS):
            for store in stores:  # a batch of another size rounds otherwise
                row = store.index(photo.path.name)
                np.testing.assert_allclose(
                    store.array("pooled", view)[row], photo.pooled[number], rtol=1e-4, atol=1e-5
                )
                np.testing.assert_allclose(
                    store.array("grid", view)[row],
                    photo.grid[number].reshape(4, -1),
                    rtol=2e-3,
                    atol=2e-3,
                )


def test_mirrored_and_whole_photos_differ_and_only_in_the_views(photos, encoder, tmp_path):
    few = dict(list(photos_by_name(photos).items())[:5])
    list(write_features(few, tmp_path / "views.st", encoder, views=VIEWS[:2]))
    list(write_features(few, tmp_path / "plain.st", encoder))
    views, plain = (FeatureStore.open(tmp_path / f"{name}.st") for name in ("views", "plain"))
    np.testing.assert_allclose(views.pooled, plain.pooled, rtol=1e-4, atol=1e-5)
    assert abs(views.array("pooled", "flipped") - plain.pooled).max() > 0.05
    views.check_encoder(plain.encoder)


# From the store to the model


def test_a_model_that_looks_at_places_gets_them(flickr8k, view_store, tmp_path):
    config = DataConfig(path=str(flickr8k), features=str(view_store), min_count=1)
    store = FeatureStore.open(view_store)
    for grid in (False, True):
        data = prepared(config, tmp_path, grid=grid)
        for split in (data.train, data.dev):
            np.testing.assert_array_equal(split.features, store.grid if grid else store.pooled)
            assert split.more_views == ()


def test_only_training_sees_other_views(flickr8k, view_store, tmp_path):
    config = DataConfig(path=str(flickr8k), features=str(view_store), min_count=1, augment="flip")
    data = prepared(config, tmp_path, grid=True)
    store = FeatureStore.open(view_store)
    (flipped,) = data.train.more_views
    np.testing.assert_array_equal(flipped, store.array("grid", "flipped"))
    np.testing.assert_array_equal(data.train.features, store.grid)
    np.testing.assert_array_equal(data.dev.features, store.grid)
    assert data.dev.more_views == ()


def test_a_store_without_what_is_wanted_is_refused_with_what_to_do(flickr8k, store, tmp_path):
    config = DataConfig(path=str(flickr8k), features=str(store), min_count=1)
    with pytest.raises(FeatureStoreError, match=r"no array 'grid', only pooled; .*\(--grid"):
        prepared(config, tmp_path, grid=True)
    for augment, missing in (("flip", "flipped"), ("crops", "flipped")):
        with pytest.raises(FeatureStoreError, match=rf"no array 'pooled\.{missing}'"):
            prepared(DataConfig(path=str(flickr8k), features=str(store), augment=augment), tmp_path)
    with pytest.raises(InputError, match="augment must be one of none, flip, crops, got 'turn'"):
        DataConfig(augment="turn")


def test_what_a_run_has_not_yet_is_encoded(flickr8k, tmp_path, cache_of_encoders):
    """A store in the run's folder that lacks the grid or a view is made again, with them."""
    for augment, grid in (("none", False), ("none", True), ("flip", True), ("none", False)):
        config = DataConfig(path=str(flickr8k), encoder="lite0@64", augment=augment, min_count=1)
        data = prepared(config, tmp_path, grid=grid)
        store = FeatureStore.open(tmp_path / "features.safetensors")
        assert data.encoder == store.encoder
        assert data.encoder["size"] == "64"
        assert data.train.features.shape == ((11, 4, 1280) if grid else (11, 1280))
    assert store.views == VIEWS[:2], "what has more than is wanted was made again"
    assert store.grid is not None


# Training


def test_a_run_on_views_goes_on_bit_for_bit(config, view_store, tmp_path):
    settings = config(data={"features": str(view_store), "augment": "flip"})
    list(train_run(settings, tmp_path / "whole"))
    for number, step in enumerate((3, 5, 8)):
        run_until(step, settings, tmp_path / "run", resume=number > 0)
    list(train_run(settings, tmp_path / "run", resume=True))
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    plain = config(data={"features": str(view_store)})
    with pytest.raises(InputError, match="augment was 'flip', is 'none'"):
        list(train_run(plain, tmp_path / "run", resume=True))
    list(train_run(plain, tmp_path / "plain"))
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "run", tmp_path / "plain")


def test_the_validation_loss_is_of_the_words_alone(config, view_store, tmp_path):
    data = prepared(config(data={"features": str(view_store)}).data, tmp_path, grid=True)
    words = data.vocabulary.word_to_idx
    plain, penalised = (
        CaptioningRNN(words, DIM, 8, 8, "attention", seed=0, attention_penalty=penalty)
        for penalty in (0.0, 1.0)
    )
    loss = validation_loss(plain, data.dev)
    assert loss == pytest.approx(np.log(len(words)), abs=0.5)
    assert validation_loss(penalised, data.dev) == loss
    assert penalised.attention_penalty == 1.0


def test_a_run_on_views_is_scored_on_whole_photos(config, flickr8k, view_store, tmp_path):
    settings = config(data={"features": str(view_store), "augment": "flip"}, best_by="val_loss")
    list(train_run(settings, tmp_path / "run"))
    captioner = Captioner.load(tmp_path / "run" / "best")
    data = prepared(settings.data, tmp_path)
    told = captioner.card["dev"]["scores"]["val_loss"]
    assert told == pytest.approx(validation_loss(captioner.model, data.dev), rel=1e-6)
    flipped = data.dev._replace(features=data.train.more_views[0])
    assert abs(told - validation_loss(captioner.model, flipped)) > 1e-3
    *_, result = evaluate(captioner, settings.data, "dev")
    rows = FeatureStore.open(view_store)
    features = np.array(rows.pooled[rows.rows(result.captions)])
    assert list(result.captions.values()) == captioner.caption_features(features)


@pytest.mark.parametrize("standardise", [False, True])
def test_an_attentive_run_goes_on_bit_for_bit(config, view_store, tmp_path, standardise):
    settings = config(
        data={"features": str(view_store), "augment": "flip", "standardise": standardise},
        model={"cell_type": "attention"},
    )
    list(train_run(settings, tmp_path / "whole"))
    for number, step in enumerate((3, 5, 8)):
        run_until(step, settings, tmp_path / "run", resume=number > 0)
    list(train_run(settings, tmp_path / "run", resume=True))
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    captioner = Captioner.load(tmp_path / "run" / "best")
    assert captioner.sees_grid
    assert (captioner.model.scaling is not None) == standardise
    *_, result = evaluate(captioner, settings.data, "dev")
    rows = FeatureStore.open(view_store)
    features = rows.grid[rows.rows(result.captions)].astype(np.float32)
    assert list(result.captions.values()) == captioner.caption_features(features)


def test_an_attentive_captioner_sees_the_grid_of_photos(config, flickr8k, photos, tmp_path):
    settings = config(
        data={"features": None, "encoder": "lite0@64"},
        model={"cell_type": "attention"},
        epochs=1,
    )
    list(train_run(settings, tmp_path / "run"))
    captioner = Captioner.load(tmp_path / "run" / "best")
    paths = sorted(photos.iterdir())[:5]
    encoder = Encoder.from_identity(captioner.encoder, where="test")
    grids = np.stack([photo.grid for photo in encoder.features(paths, grid=True)])
    expected = captioner.caption_features(grids.reshape(5, 4, 1280))
    assert [caption for _, caption in captioner.caption_photos(paths)] == expected
    assert [c for _, c in captioner.caption_photos(paths, batch_size=2)] == expected
    *_, result = evaluate(captioner, DataConfig(path=str(flickr8k)), "dev")
    assert len(result.captions) == 3


# Standardised features


def test_features_are_standardised_by_the_training_photos(config, view_store, tmp_path):
    settings = config(data={"features": str(view_store), "standardise": True})
    list(train_run(settings, tmp_path / "run"))
    scaling = Captioner.load(tmp_path / "run" / "best").model.scaling
    train = prepared(settings.data, tmp_path).train
    seen = scaling.apply(train.features[train.photo_rows])
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=0), 1, rtol=1e-5)


def test_standardising_is_part_of_the_model_and_of_what_is_shipped(config, view_store, tmp_path):
    settings = config(data={"features": str(view_store), "standardise": True})
    list(train_run(settings, tmp_path / "run"))
    captioner = Captioner.load(tmp_path / "run" / "best")
    scaling = captioner.model.scaling
    captioner.save(tmp_path / "half", dtype="float16")
    half = Captioner.load(tmp_path / "half").model
    for saved, own in zip(half.scaling, scaling, strict=True):
        assert saved.dtype == np.float32
        np.testing.assert_array_equal(saved, own)
    assert half.params.keys() == captioner.model.params.keys()
    features = np.random.default_rng(0).normal(0, 1, (3, DIM)).astype(np.float32)
    captioner.model.scaling = None
    scaled = captioner.caption_features((features - scaling.mean) * scaling.scale)
    captioner.model.scaling = scaling
    assert captioner.caption_features(features) == scaled
    changed = config(data={"features": str(view_store)})
    with pytest.raises(InputError, match="standardise was True, is False"):
        list(train_run(changed, tmp_path / "run", resume=True))


def test_a_run_that_begins_with_a_captioner_standardises_as_it_does(config, view_store, tmp_path):
    first = config(data={"features": str(view_store), "standardise": True}, epochs=1)
    list(train_run(first, tmp_path / "first"))
    start = str(tmp_path / "first" / "best")
    second = config(data={"features": str(view_store)}, epochs=1, start=start, learning_rate=1e-9)
    list(train_run(second, tmp_path / "second"))
    begun, own = (Captioner.load(tmp_path / name / "last") for name in ("second", "first"))
    for one, other in zip(begun.model.scaling, own.model.scaling, strict=True):
        np.testing.assert_array_equal(one, other)
    assert begun.card["dev"]["scores"]["val_loss"] == pytest.approx(
        own.card["dev"]["scores"]["val_loss"], rel=1e-5
    )
