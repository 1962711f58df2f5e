"""``unrolled features``: photos to a store, stopped and gone on with."""

import os
import shutil
import signal
import time

import numpy as np
import pytest

from commands import call_here, start
from unrolled.data import FeatureStore
from unrolled.vision import VIEWS, Encoder


@pytest.fixture
def few(photos, tmp_path):
    """Three photos, one of them in a folder inside."""
    folder = tmp_path / "album"
    (folder / "in side").mkdir(parents=True)
    shutil.copy(photos / "00_red.jpg", folder)
    shutil.copy(photos / "01_green.jpg", folder)
    shutil.copy(photos / "02_blue.jpg", folder / "in side")
    return folder


def test_a_store_of_every_photo_below_the_folder(cli, few, tmp_path, cache_of_encoders):
    out = tmp_path / "f.safetensors"
    said = cli("features", few, "--out", out)
    assert (said.code, said.out, said.err) == (0, "", f"wrote {out}: 3 photos.\n")
    store = FeatureStore.open(out)
    store.verify()
    assert store.names == ("00_red.jpg", "01_green.jpg", "in side/02_blue.jpg")
    encoder = Encoder.load()
    assert store.encoder == encoder.identity
    assert store.grid is None
    for photo in encoder.features([few / name for name in store.names]):
        row = store.pooled[store.index(photo.path.relative_to(few).as_posix())]
        np.testing.assert_allclose(row, photo.pooled, rtol=1e-4, atol=1e-5)


def test_the_grid_and_another_encoder_where_they_are_asked_for(
    cli, few, tmp_path, cache_of_encoders
):
    shutil.rmtree(few / "in side")
    (few / "01_green.jpg").unlink()
    said = cli("features", few, "--out", tmp_path / "f.st", "--grid", "--encoder", "lite1")
    assert said.code == 0, said.err
    store = FeatureStore.open(tmp_path / "f.st")
    assert store.encoder["name"] == "lite1"
    assert store.grid.shape == (1, 64, 1280)


@pytest.mark.parametrize(
    ("flags", "views"),
    [
        ([], VIEWS[:1]),
        (["--flip"], VIEWS[:2]),
        (["--crops"], VIEWS),
        (["--flip", "--crops"], VIEWS),
    ],
)
def test_views_are_kept_where_they_are_asked_for(
    cli, few, tmp_path, cache_of_encoders, flags, views
):
    out = tmp_path / "new folder" / "f.st"
    said = cli("features", few, "--out", out, "--encoder", "lite0@64", *flags)
    assert said.code == 0, said.err
    assert FeatureStore.open(out).views == views


def test_joined_encoders(cli, few, tmp_path, cache_of_encoders):
    name = "lite0@64+lite1@96"
    said = cli("features", few, "--out", tmp_path / "f.st", "--encoder", name)
    assert said.code == 0, said.err
    store = FeatureStore.open(tmp_path / "f.st")
    assert store.pooled.shape == (3, 2560)
    assert (store.encoder["1.size"], store.encoder["2.size"]) == ("64", "96")
    said = cli("features", few, "--out", tmp_path / "g.st", "--encoder", name, "--grid")
    assert (said.code, said.out) == (2, "")
    assert "grids cannot be joined (lite0@64 2 x 2, lite1@96 3 x 3)" in said.err
    assert not list(tmp_path.glob("g.st*"))


def test_a_bad_photo_stops_it_and_skip_bad_goes_on(cli, few, tmp_path, cache_of_encoders):
    bad = few / "00a.jpg"
    bad.write_bytes(b"no photo")
    out = tmp_path / "f.st"
    said = cli("features", few, "--out", out)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"error: {bad}: not an image that can be read (no image format known here, 8 bytes).\n"
        "       What was encoded is kept. Pass --skip-bad to go on with the others.\n"
    )
    assert not out.exists()
    said = cli("features", few, "--out", out, "--encoder", "lite1")
    assert said.code == 2
    assert "begun with encoder" in said.err
    assert "lite1" in said.err
    said = cli("features", few, "--out", out, "--skip-bad")
    assert said.code == 0
    assert said.err.splitlines() == [
        f"skipped: {bad}: not an image that can be read (no image format known here, 8 bytes).",
        f"wrote {out}: 3 photos.",
    ]
    assert len(FeatureStore.open(out)) == 3
    assert not (tmp_path / "f.st.partial").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{photos}/00_red.jpg"], "expected a folder of photos"),
        (["{tmp}/gone"], "expected a folder of photos"),
        (["{tmp}"], "no photos in this folder"),
        (["{photos}", "--encoder", "lite9"], "the encoders are lite0, lite1, lite2"),
    ],
)
def test_what_cannot_be_is_refused(cli, photos, tmp_path, arguments, message):
    filled = [each.format(photos=photos, tmp=tmp_path) for each in arguments]
    said = cli("features", *filled, "--out", tmp_path / "f.st")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert message in said.err
    assert "Traceback" not in said.err


def test_ctrl_c_keeps_what_was_done(cli, photos, tmp_path, monkeypatch, cache_of_encoders):
    plain = Encoder.features

    def features(self, paths, **options):
        for number, photo in enumerate(plain(self, list(paths)[:3], **options)):
            if number == 2:
                raise KeyboardInterrupt
            yield photo

    monkeypatch.setattr(Encoder, "features", features)
    said = cli("features", photos, "--out", tmp_path / "f.st")
    assert said.code == 130
    assert said.err == "stopped; the same command goes on from here.\n"
    asked = []

    def watched(self, paths, **options):
        asked.extend(paths)
        return plain(self, asked, **options)

    monkeypatch.setattr(Encoder, "features", watched)
    assert cli("features", photos, "--out", tmp_path / "f.st").code == 0
    assert len(asked) == 12
    assert len(FeatureStore.open(tmp_path / "f.st")) == 14


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL there")
def test_killed_it_goes_on(photos, tmp_path, cache_of_encoders):
    """Chunks are brought to the disk as they are done; a kill loses one at most."""
    album = tmp_path / "album"
    album.mkdir()
    picture = (photos / "00_red.jpg").read_bytes()
    for number in range(64):
        (album / f"{number:03}.jpg").write_bytes(picture)
    code = (
        "import unrolled.data.feature_writer as w\n"
        "w.FeatureWriter.__init__.__kwdefaults__['chunk'] = 4\n"
        "from unrolled.cli import main; main()"
    )
    out = tmp_path / "f.st"
    process = start("features", album, "--out", out, code=code)
    journal = tmp_path / "f.st.partial" / "journal.jsonl"
    try:
        while not (journal.exists() and journal.stat().st_size):
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    done = journal.read_text().count(".jpg")
    assert 4 <= done < 64
    assert call_here("features", album, "--out", out) == 0
    store = FeatureStore.open(out)
    store.verify()
    assert set(store.names) == {path.name for path in album.iterdir()}
    np.testing.assert_allclose(store.pooled, store.pooled[:1].repeat(64, 0), rtol=1e-3, atol=1e-3)
