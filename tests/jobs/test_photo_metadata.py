"""Alt text in photos: pixels and all else stay byte for byte, and originals are always whole."""

import io
import os
import re
import stat
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photo_samples import SAMPLES, encoded, exif
from PIL import Image

from unrolled.errors import MetadataError
from unrolled.jobs.metadata import jpeg, png, webp
from unrolled.jobs.metadata.photos import sidecar_of, write_photo, write_sidecar
from unrolled.jobs.metadata.xmp import Packet, clean

PACKET = Packet.empty().with_alt_text("Grandmother at the lake", describe=False)
MODULES = {"JPEG": jpeg, "PNG": png, "WEBP": webp}
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


def seen(data):
    """Pixels and metadata as Pillow has them, but for XMP."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        info = {key: image.info[key] for key in image.info if "xmp" not in key.lower()}
        return image.tobytes(), image.size, image.mode, info


def xmp_of(data):
    """The packet as Pillow finds it."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return found.encode() if isinstance(found, str) else found


def without_xmp(data, kind):
    """A file's parts but those of XMP, taken apart without the code under test."""
    if kind == "JPEG":
        return [part for part in _jpeg_parts(data) if b"http://ns.adobe.com/xap" not in part[:40]]
    if kind == "PNG":
        parts, at = [data[:8]], 8
        while at < len(data):
            end = at + 12 + struct.unpack(">I", data[at : at + 4])[0]
            assert zlib.crc32(data[at + 4 : end - 4]) == struct.unpack(">I", data[end - 4 : end])[0]
            parts.append(data[at:end])
            at = end
        return [part for part in parts if b"XML:com.adobe.xmp" not in part[:40]]
    size = struct.unpack("<I", data[4:8])[0]
    assert size % 2 == 0
    parts, at = [data[8 + size :]], 12
    while at < 8 + size:
        length = struct.unpack("<I", data[at + 4 : at + 8])[0]
        end = at + 8 + length + length % 2
        parts.append(data[at:end])
        at = end
    assert at == 8 + size
    return [part for part in parts if part[:4] not in (b"XMP ", b"VP8X")]


def _jpeg_parts(data):
    parts, at = [], 2
    while True:
        start = at
        while data[at + 1] == 0xFF:
            at += 1
        if data[at + 1] == 0xDA:
            return [*parts, data[start:]]
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        parts.append(data[start:end])
        at = end


@pytest.fixture(params=sorted(SAMPLES))
def photo(request, tmp_path):
    path = tmp_path / request.param
    path.write_bytes(SAMPLES[request.param])
    return path


def kind_of(path):
    return {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[path.suffix]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_nothing_but_xmp_changes(photo, text):
    before = SAMPLES[photo.name]
    photo.write_bytes(before)
    assert write_photo(str(photo), text)
    after = photo.read_bytes()
    assert without_xmp(after, kind_of(photo)) == without_xmp(before, kind_of(photo))
    assert seen(after) == seen(before)
    assert Packet(xmp_of(after)).alt_text == clean(text)


def test_written_again_it_is_the_same_and_overwritten_it_is_the_other(photo):
    write_photo(str(photo), "a dog")
    once = photo.read_bytes()
    assert write_photo(str(photo), "a dog")
    assert not write_photo(str(photo), "a cat")
    assert photo.read_bytes() == once
    assert write_photo(str(photo), "a cat", True)
    assert Packet(xmp_of(photo.read_bytes())).alt_text == "a cat"
    assert write_photo(str(photo), "a dog", True)
    module = MODULES[kind_of(photo)]
    assert Packet(module.read_packet(photo.read_bytes())).alt_text == "a dog"
    assert without_xmp(photo.read_bytes(), kind_of(photo)) == without_xmp(once, kind_of(photo))


def test_a_packet_before_and_behind_what_must_come_first():
    data = SAMPLES["all.jpg"]
    after = jpeg.write_packet(data, PACKET)
    assert [part[1] for part in _jpeg_parts(after)][:3] == [0xE0, 0xE1, 0xE1]
    assert after.index(b"Exif\0") < after.index(b"http://ns.adobe.com/xap") < after.index(b"ICC_")
    data = SAMPLES["plain.webp"]
    after = webp.write_packet(data, PACKET)
    assert after[12:16] == b"VP8X"
    width, height = (int.from_bytes(after[at : at + 3], "little") + 1 for at in (24, 27))
    assert (width, height) == (9, 7)
    assert after[20] == 0x04
    assert webp.write_packet(SAMPLES["lossless.webp"], PACKET)[20] == 0x14  # and alpha


@settings(max_examples=300)
@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 2000), st.binary(max_size=3))
def test_a_damaged_file_is_refused_or_changed_in_nothing_but_xmp(name, at, new):
    """Its pixels may be any: what comes out is what goes in, and a packet."""
    data = bytearray(SAMPLES[name])
    data[at : at + len(new)] = new
    data = bytes(data)
    module = MODULES[kind_of(Path(name))]
    try:
        there = module.read_packet(data)
        after = module.write_packet(data, PACKET)
    except MetadataError:
        return
    assert module.read_packet(after) == PACKET
    assert module.write_packet(after, PACKET) == after
    if there is not None and module is not png:  # a PNG's may have been compressed
        assert module.write_packet(after, there) == data or module is webp


@pytest.mark.parametrize("name", ["plain.jpg", "plain.png", "plain.webp"])
def test_cut_off_anywhere_nothing_breaks(name):
    data = SAMPLES[name]
    module = MODULES[kind_of(Path(name))]
    for cut in range(len(data)):
        try:
            assert module.read_packet(module.write_packet(data[:cut], PACKET)) == PACKET
        except MetadataError:
            continue


def test_a_compressed_packet_is_read_and_a_bomb_is_not():
    def chunk(content):
        body = b"iTXtXML:com.adobe.xmp\0\1\0\0\0" + content
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    data = SAMPLES["plain.png"]
    with_one = data[:33] + chunk(zlib.compress(PACKET)) + data[33:]
    assert png.read_packet(with_one) == PACKET
    assert png.write_packet(with_one, PACKET) == png.write_packet(data, PACKET)
    for content in (zlib.compress(b" " * (64 << 20)), zlib.compress(PACKET)[:-5], b"none"):
        with pytest.raises(MetadataError, match=r"is damaged|is cut off"):
            png.read_packet(data[:33] + chunk(content) + data[33:])


def test_what_a_jpeg_cannot_hold_is_refused(tmp_path):
    data = SAMPLES["plain.jpg"]
    jpeg.write_packet(data, b" " * jpeg.MOST_BYTES)
    with pytest.raises(MetadataError, match="at most 65,502"):
        jpeg.write_packet(data, b" " * (jpeg.MOST_BYTES + 1))
    segment = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40
    several = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    (tmp_path / "a.jpg").write_bytes(several)
    with pytest.raises(MetadataError, match=r"a\.jpg: .*several pieces.*use --sidecar"):
        write_photo(str(tmp_path / "a.jpg"), "a dog")
    assert (tmp_path / "a.jpg").read_bytes() == several
    assert write_sidecar(str(tmp_path / "a.jpg"), "a dog")


def test_further_pictures_stay_where_their_index_says():
    """Its places count from the index itself: XMP before it moves both, XMP behind it does not."""
    index = b"\xff\xe2" + struct.pack(">H", 10) + b"MPF\0abcd"
    data = SAMPLES["plain.jpg"]
    end_of_jfif = 4 + struct.unpack(">H", data[4:6])[0]
    with_index = data[:end_of_jfif] + index + data[end_of_jfif:]
    after = jpeg.write_packet(with_index, PACKET)
    assert after[after.index(b"MPF\0") :] == with_index[with_index.index(b"MPF\0") :]
    xmp = jpeg.write_packet(data, b"<x/>")
    segment = xmp[end_of_jfif : len(xmp) - (len(data) - end_of_jfif)]
    behind = data[:end_of_jfif] + index + segment + data[end_of_jfif:]
    with pytest.raises(MetadataError, match="index of further pictures"):
        jpeg.write_packet(behind, PACKET)


@pytest.mark.parametrize("said", [{"t270": "Grandmother"}, {"t270": "  "}, {}])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_description_in_exif_is_not_hidden_by_ours(tmp_path, kind, said):
    path = tmp_path / f"a.{kind.lower()}"
    for write in (write_photo, write_sidecar):
        path.write_bytes(encoded(kind, exif=exif(**said)))
        write(str(path), "a dog")
        place = path if write is write_photo else Path(sidecar_of(str(path)))
        has = b"dc:description" in place.read_bytes()
        assert has == (said.get("t270", "").strip() == "")


def test_a_photos_own_words_are_not_hidden_by_a_sidecar(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg.write_packet(SAMPLES["plain.jpg"], PACKET))
    assert not write_sidecar(str(path), "a dog")
    assert not Path(sidecar_of(str(path))).exists()
    assert write_sidecar(str(path), "a dog", True)
    assert Path(sidecar_of(str(path))).exists()


def test_a_sidecars_words_are_not_contradicted_by_the_photo(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(SAMPLES["plain.jpg"])
    write_sidecar(str(path), "Grandmother at the lake")
    assert not write_photo(str(path), "a dog")
    assert path.read_bytes() == SAMPLES["plain.jpg"]
    assert write_photo(str(path), "Grandmother at the lake")
    assert b"Grandmother" in path.read_bytes()
    assert write_photo(str(path), "a dog", True)


def test_mode_time_and_links_stay(tmp_path):
    path, link = tmp_path / "a.jpg", tmp_path / "link.jpg"
    path.write_bytes(SAMPLES["plain.jpg"])
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18 + 1))
    link.symlink_to("a.jpg")
    write_photo(str(link), "a dog")
    status = path.stat()
    assert link.is_symlink()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime_ns == 10**18 + 1
    assert b"a dog" in path.read_bytes()
    old_mask = os.umask(0o027)
    try:
        write_sidecar(str(path), "a dog")
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE((tmp_path / "a.jpg.xmp").stat().st_mode) == 0o640


@pytest.mark.parametrize("reason", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_where_nothing_can_be_written_nothing_changes(tmp_path, monkeypatch, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(SAMPLES["plain.jpg"])
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def refuse(*_):
                raise reason

            patch.setattr(os, name, refuse)
            wanted = MetadataError if isinstance(reason, OSError) else KeyboardInterrupt
            with pytest.raises(
                wanted, match="cannot be written" if wanted is MetadataError else None
            ):
                write_photo(str(path), "a dog")
            with pytest.raises(wanted):
                write_sidecar(str(path), "a dog")
        assert [p.name for p in tmp_path.iterdir()] == ["a.jpg"]
        assert path.read_bytes() == SAMPLES["plain.jpg"]


def test_a_photo_that_may_not_be_written_to_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(SAMPLES["plain.jpg"])
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)  # root may do all
    with pytest.raises(MetadataError, match=r"a\.jpg: cannot be written \(Permission denied\)"):
        write_photo(str(path), "a dog")
    assert path.read_bytes() == SAMPLES["plain.jpg"]


@pytest.mark.parametrize("write", [write_photo, write_sidecar])
@pytest.mark.parametrize("how", ["in place", "another of its size and time", "deleted"])
def test_what_is_saved_meanwhile_stays(tmp_path, monkeypatch, write, how):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(SAMPLES["plain.jpg"])
    write_sidecar(str(photo), "by hand")
    place = photo if write is write_photo else Path(sidecar_of(str(photo)))
    saved = place.read_bytes()[::-1] + (b"more" if how == "in place" else b"")

    def save(_):
        if how == "in place":
            place.write_bytes(saved)
        elif how == "deleted":
            place.unlink()
        else:
            other = tmp_path / "other"
            other.write_bytes(saved)
            os.utime(other, ns=(place.stat().st_atime_ns, place.stat().st_mtime_ns))
            other.replace(place)

    monkeypatch.setattr(os, "fsync", save)
    with pytest.raises(
        MetadataError,
        match=rf"{re.escape(str(place))}: changed since it was read; nothing was written to it",
    ):
        write(str(photo), "a dog", True)
    assert not list(tmp_path.glob(".*"))
    assert place.exists() == (how != "deleted")
    assert how == "deleted" or place.read_bytes() == saved


@pytest.mark.skipif(os.name == "nt", reason="modes are others there")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_nobody_else_may_look_into_a_photo_while_it_is_written(tmp_path, monkeypatch, mode):
    path, modes = tmp_path / "a.jpg", []
    path.write_bytes(SAMPLES["plain.jpg"])
    path.chmod(mode)
    monkeypatch.setattr(
        os, "fsync", lambda file: modes.append(stat.S_IMODE(os.fstat(file).st_mode))
    )
    write_photo(str(path), "a dog")
    assert modes == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_kinds_get_a_sidecar_alone(tmp_path, kind):
    path = tmp_path / "a.x"
    path.write_bytes(encoded(kind))
    with pytest.raises(MetadataError, match="JPEG, PNG and WebP alone; use --sidecar"):
        write_photo(str(path), "a dog")
    assert write_sidecar(str(path), "a dog")
    assert Packet((tmp_path / "a.x.xmp").read_bytes()).described


def test_a_sidecar_that_is_none_is_never_replaced(tmp_path):
    path, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    path.write_bytes(SAMPLES["plain.jpg"])
    for content in (b"my novel", b"", b"<!DOCTYPE x><x/>"):
        sidecar.write_bytes(content)
        for overwrite in (False, True):
            with pytest.raises(MetadataError, match=r"a\.jpg\.xmp: "):
                write_sidecar(str(path), "a dog", overwrite)
        assert sidecar.read_bytes() == content
