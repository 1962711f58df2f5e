"""The words behind a caption, held against the laboratory's own softmax."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.captioner import Captioner, Captioners, Eyes, number_words, weigh_words
from unrolled.laboratory import word_choices


@pytest.fixture(scope="module")
def seen(captioner_folder, photos):
    captioner = Captioner.load(captioner_folder)
    eyes = Eyes([captioner])
    content = (photos / "00_red.jpg").read_bytes()
    return captioner, [each[None] for each in eyes.see(content, max_pixels=10_000)]


def test_words_weigh_what_the_laboratory_finds(seen):
    captioner, features = seen
    [caption] = captioner.caption_features(features[0])
    numbers = number_words(captioner, caption.text, captioner.decoding.max_length)
    words = weigh_words([captioner], features, numbers, count=3)
    expected = word_choices(captioner.model, features[0], np.array([numbers]), count=1)
    assert [word.text for word in words] == list(expected.said)
    np.testing.assert_allclose([word.p for word in words], expected.p_said, rtol=1e-4)
    assert sum(np.log(word.p) for word in words) == pytest.approx(caption.log_prob, abs=1e-4)
    assert all(len(word.others) == 3 for word in words)


def test_two_that_speak_together_have_the_mean(seen):
    captioner, features = seen
    numbers = number_words(captioner, "a red circle", 30)
    alone = weigh_words([captioner], features, numbers)
    both = weigh_words([captioner] * 2, features * 2, numbers)
    np.testing.assert_allclose([w.p for w in both], [w.p for w in alone], rtol=1e-5)


def test_a_caption_that_was_cut_off_has_no_end(seen):
    captioner, _ = seen
    ids = captioner.model.word_to_idx
    assert number_words(captioner, "a red circle", 3)[-1] == ids["circle"]
    assert number_words(captioner, "a red circle", 4)[-1] == ids["<END>"]


def test_bytes_are_seen_as_files_are(seen, photos):
    captioner, features = seen
    [(_, from_file)] = captioner.caption_photos([photos / "00_red.jpg"])
    assert Captioners((captioner,)).candidates(features)[0][0].text == from_file.text
