"""While photos are captioned the next ones are seen; whichever ends early, nothing is left over."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from unrolled.captioner import Captioner, Decoding, Eyes
from unrolled.errors import ImageError

PATIENCE = 20  # seconds, of a machine that is busy


def workers():
    return sum(thread.name.startswith("unrolled-ahead") for thread in threading.enumerate())


@pytest.fixture
def captioner(captioner_folder):
    return Captioner.load(captioner_folder)


@pytest.fixture
def seen(monkeypatch):
    """The names of the photos that have been seen, in any order, and what tells of another."""
    names, changed, see = [], threading.Condition(), Eyes.see

    def watched(self, photo, **options):
        features = see(self, photo, **options)
        with changed:
            names.append(photo.name)
            changed.notify_all()
        return features

    monkeypatch.setattr(Eyes, "see", watched)
    return names, changed


def test_the_next_photos_are_seen_while_these_are_captioned(captioner, photos, seen, monkeypatch):
    names, changed = seen
    find, most = Decoding.find, []

    def patient(self, speaker, features, *rest):
        with changed:
            wanted = min(2 * (len(most) + 2), 8)  # all of the next batch
            assert changed.wait_for(lambda: len(names) >= wanted, timeout=PATIENCE)
            most.append(len(names))
        return find(self, speaker, features, *rest)

    paths = sorted(photos.iterdir())[:8]
    expected = list(captioner.caption_photos(paths))
    names.clear()
    monkeypatch.setattr(Decoding, "find", patient)
    found = list(captioner.caption_photos(paths, batch_size=2))
    assert [path for path, _ in found] == paths
    assert [caption.text for _, caption in found] == [caption.text for _, caption in expected]
    assert len(most) == 4
    assert all(count <= 2 * batch + 5 for batch, count in enumerate(most))  # and no further
    assert workers() == 0


def test_weights_are_laid_out_once(captioner, photos, monkeypatch):
    ready, times = type(captioner.model).ready, []
    monkeypatch.setattr(
        type(captioner.model), "ready", lambda self, *how: times.append(1) or ready(self, *how)
    )
    assert len(list(captioner.caption_photos(sorted(photos.iterdir())[:6], batch_size=2))) == 6
    assert len(times) == 1


def test_a_search_that_fails_leaves_no_thread(captioner, photos, monkeypatch):
    def fails(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(Decoding, "find", fails)
    captions = captioner.caption_photos(sorted(photos.iterdir()), batch_size=2)
    with pytest.raises(MemoryError, match="no room") as caught:
        next(captions)
    assert workers() == 0
    del caught


def test_a_photo_that_fails_leaves_no_thread(captioner, photos, tmp_path):
    first, second = sorted(photos.iterdir())[:2]
    captions = captioner.caption_photos([first, tmp_path / "gone.jpg", second], batch_size=1)
    assert next(captions)[0] == first
    with pytest.raises(ImageError, match=r"gone\.jpg: no such file"):
        next(captions)
    assert workers() == 0


def test_captions_that_nobody_takes_any_more_leave_no_thread(captioner, photos):
    captions = captioner.caption_photos(sorted(photos.iterdir()), batch_size=1)
    next(captions)
    captions.close()
    assert workers() == 0


def test_a_lone_photo_is_seen_as_among_others(captioner, photos):
    paths = sorted(photos.iterdir())[:3]
    eyes = Eyes([captioner])
    ahead = list(eyes.see_ahead(paths, ahead=3))
    assert [path for path, _ in ahead] == paths
    for path, features in ahead:
        for one, other in zip(features, eyes.see(path.read_bytes()), strict=True):
            assert np.array_equal(one, other)
