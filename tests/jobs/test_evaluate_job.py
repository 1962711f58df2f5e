"""A captioner scored on a split: its own captions, everyone's scorers."""

import numpy as np
import pytest

from small_world import made_photos, write_flickr8k, write_store
from unrolled.captioner import Captioner, Decoding
from unrolled.data import FeatureStore
from unrolled.errors import EncoderError, FeatureStoreError, InputError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.evaluate import Evaluation, evaluate
from unrolled.jobs.features import FeatureProgress
from unrolled.metrics import score


@pytest.fixture(scope="module")
def captioner(captioner_folder):
    return Captioner.load(captioner_folder)


def last(events):
    *_, result = events
    assert isinstance(result, Evaluation)
    return result


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_the_scores_are_those_of_the_captions(captioner, flickr8k, lite_store, split):
    data = DataConfig(path=str(flickr8k), features=str(lite_store))
    result = last(evaluate(captioner, data, split))
    wanted = {made.name: made.captions for made in made_photos() if made.split == split}
    assert list(result.captions) == list(result.references) == list(wanted)
    for name, references in result.references.items():
        assert [text.rstrip(" .") for text in references] == [
            text.rstrip(" .") for text in wanted[name]
        ]
    texts = {name: caption.text for name, caption in result.captions.items()}
    assert result.scores.corpus == score(texts, result.references).corpus
    assert set(result.scores.corpus) == {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"}
    store = FeatureStore.open(lite_store)
    rows = np.array(store.pooled[store.rows(wanted)])
    assert list(result.captions.values()) == captioner.caption_features(rows)


def test_photos_are_encoded_where_there_is_no_store(captioner, flickr8k, lite_store):
    *progress, result = evaluate(captioner, DataConfig(path=str(flickr8k)), "train")
    assert progress == [FeatureProgress(done, 8) for done in range(1, 9)]
    data = DataConfig(path=str(flickr8k), features=str(lite_store))
    stored = last(evaluate(captioner, data, "train"))
    texts, others = (
        {name: caption.text for name, caption in each.captions.items()} for each in (result, stored)
    )
    assert texts == others
    assert list(texts.values()) != list(texts.values())[::-1]


def test_it_searches_as_the_captioner_does_unless_told_otherwise(captioner, flickr8k, lite_store):
    data = DataConfig(path=str(flickr8k), features=str(lite_store))
    own = last(evaluate(captioner, data, "train"))
    greedy = last(evaluate(captioner, data, "train", decoding=Decoding(width=1, max_length=2)))
    assert (
        own.captions
        == last(evaluate(captioner, data, "train", decoding=captioner.decoding)).captions
    )
    assert all(len(caption.text.split()) <= 2 for caption in greedy.captions.values())


def test_metrics_are_those_asked_for(captioner, flickr8k, lite_store):
    data = DataConfig(path=str(flickr8k), features=str(lite_store))
    assert set(last(evaluate(captioner, data, "dev", metrics=["CIDEr"])).scores.corpus) == {"CIDEr"}


def test_features_of_another_encoder_are_refused(captioner, flickr8k, store):
    data = DataConfig(path=str(flickr8k), features=str(store))
    with pytest.raises(FeatureStoreError, match=r"another encoder .*got 'made-up'"):
        last(evaluate(captioner, data, "dev"))


def test_a_store_without_some_of_the_photos_is_refused(captioner, flickr8k, photos, tmp_path):
    from unrolled.jobs.features import photos_by_name, write_features
    from unrolled.vision import Encoder

    encoder = Encoder.from_identity(captioner.encoder, where="test")
    named = photos_by_name(photos)
    del named["09_red.jpg"]
    list(write_features(named, tmp_path / "f.st", encoder))
    data = DataConfig(path=str(flickr8k), features=str(tmp_path / "f.st"))
    with pytest.raises(FeatureStoreError, match=r"1 of 3 photos \(09_red\.jpg\)"):
        last(evaluate(captioner, data, "dev"))


def test_a_split_without_photos_is_refused(captioner, flickr8k, tmp_path):
    with pytest.raises(InputError, match=r"no photos in split 'evening'.*train \(8 photos\)"):
        last(evaluate(captioner, DataConfig(path=str(flickr8k)), "evening"))
    write_flickr8k(tmp_path / "f8k")
    (tmp_path / "f8k" / "Flickr_8k.devImages.txt").write_text("")
    with pytest.raises(InputError, match="no photos in split 'dev'"):
        last(evaluate(captioner, DataConfig(path=str(tmp_path / "f8k")), "dev"))


def test_captions_without_their_photos_are_refused_with_what_to_do(captioner, tmp_path):
    data = write_flickr8k(tmp_path / "f8k")
    (data / "Flicker8k_Dataset").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"3 of 3 photos are not there.*--photos.*--features"):
        last(evaluate(captioner, DataConfig(path=str(data)), "dev"))
    there = DataConfig(path=str(data), photos=str(tmp_path / "elsewhere"))
    assert len(last(evaluate(captioner, there, "dev")).captions) == 3


def test_an_encoder_we_have_not_is_refused(run_folder, flickr8k, tmp_path):
    captioner = Captioner.load(run_folder / "best")
    with pytest.raises(EncoderError, match="made-up"):
        last(evaluate(captioner, DataConfig(path=str(flickr8k)), "dev"))
    store = write_store(tmp_path / "f.st")
    data = DataConfig(path=str(flickr8k), features=str(store))
    assert len(last(evaluate(captioner, data, "dev")).captions) == 3
