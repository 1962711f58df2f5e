"""ExifTool, which knows every photo there is, reads what we write, and misses nothing."""

import json
import shutil
import subprocess

import pytest
from photo_samples import SAMPLES

from unrolled.jobs.metadata.photos import sidecar_of, write_photo, write_sidecar

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here"),
]
TEXT = 'a dog\'s <ball> & "stick", \u72d7'
CHOSEN = ("all.jpg", "xmp.jpg", "palette.png", "all.png", "lossless.webp", "all.webp")
OF_THE_FILE = ("System:", "SourceFile", "ExifTool:", "XMP-x:", "XMP-iptcCore:Alt", "XMP-dc:Desc")
OF_THE_CONTAINER = (
    "File:FileType",
    "RIFF:WebP_Flags",
    "RIFF:ImageWidth",
    "RIFF:ImageHeight",
    "RIFF:VP8Version",
)
OF_SIMPLE_WEBP = ("RIFF:HorizontalScale", "RIFF:VerticalScale", "RIFF:AlphaIsUsed")


def tags(path):
    command = ["exiftool", "-j", "-a", "-G1", "-s", "-Validate", "-all", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]


@pytest.fixture(params=CHOSEN)
def photo(request, tmp_path):
    path = tmp_path / request.param
    path.write_bytes(SAMPLES[request.param])
    return path


def rest(found):
    skipped = (*OF_THE_FILE, *OF_THE_CONTAINER, *OF_SIMPLE_WEBP)
    return {name: found[name] for name in found if not name.startswith(skipped)}


def test_it_reads_what_we_write_into_a_photo_and_misses_nothing(photo):
    before = tags(photo)
    write_photo(str(photo), TEXT)
    after = tags(photo)
    assert after["XMP-iptcCore:AltTextAccessibility"] == TEXT
    assert after["XMP-dc:Description"] == TEXT
    assert rest(after) == rest(before)
    assert after["ExifTool:Validate"] == before["ExifTool:Validate"]


def test_what_it_wrote_stays_and_what_it_wrote_as_alt_text_is_left_alone(photo):
    said = ["-XMP:Rating=4", "-XMP-dc:Subject=dog", "-XMP-dc:Title-de=Hund"]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *said, str(photo)], check=True)
    before = tags(photo)
    assert write_photo(str(photo), TEXT)
    after = tags(photo)
    assert after["XMP-iptcCore:AltTextAccessibility"] == TEXT
    assert rest(after) == rest(before)
    hers = "-XMP-iptcCore:AltTextAccessibility=Grandmother"
    subprocess.run(["exiftool", "-q", "-overwrite_original", hers, str(photo)], check=True)
    assert not write_photo(str(photo), TEXT)
    assert tags(photo)["XMP-iptcCore:AltTextAccessibility"] == "Grandmother"


def test_it_reads_our_sidecar_and_we_keep_its_own(photo):
    sidecar = sidecar_of(str(photo))
    write_sidecar(str(photo), TEXT)
    assert tags(sidecar)["XMP-iptcCore:AltTextAccessibility"] == TEXT
    subprocess.run(
        [
            "exiftool",
            "-q",
            "-overwrite_original",
            "-XMP:Rating=4",
            "-XMP-iptcCore:AltTextAccessibility=",
            sidecar,
        ],
        check=True,
    )
    before = tags(sidecar)
    assert write_sidecar(str(photo), "a cat")
    after = tags(sidecar)
    assert after["XMP-iptcCore:AltTextAccessibility"] == "a cat"
    assert after["XMP-dc:Description"] == TEXT
    assert rest(after) == rest(before)
