"""Web pages: each image gets the alt it lacks, and no other byte of the page changes."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from albums import Seer, photo_bytes
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import DataError
from unrolled.jobs.alt.images import attribute, read_page
from unrolled.jobs.alt.pages import AltProgress, ImageLeft, PageChange, fill_pages


@pytest.fixture
def site(tmp_path):
    """A folder with photos in it, and one outside."""
    folder = tmp_path / "site"
    for number, name in enumerate(["a.jpg", "img/b.jpg", "img/c d.jpg", "img/é.jpg", "blog/e.jpg"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photo_bytes(number))
    (folder / "bad.jpg").write_bytes(b"no photo")
    (tmp_path / "secret.jpg").write_bytes(photo_bytes(9))
    (folder / "way-out.jpg").symlink_to(tmp_path / "secret.jpg")
    return folder


def fill(page, content, root=None, seer=None):
    data = content if isinstance(content, bytes) else content.encode()
    page.write_bytes(data)
    events = list(fill_pages([str(page)], seer or Seer(), root=root))
    left = [event for event in events if isinstance(event, ImageLeft)]
    changes = [event for event in events if isinstance(event, PageChange)]
    assert page.read_bytes() == data  # nothing is written until it is said
    return (changes[0].after if changes else data), left


def alts(data):
    """Sources and alts of a page's images, as the parser of the standard library reads them."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag == "img":
                found.append((dict(attrs).get("src"), dict(attrs).get("alt")))

    Reader().feed(data.decode("utf-8", errors="replace"))
    return found


def said(path):
    [(_, captions)] = Seer().photo_candidates([path])
    return captions[0].text


def test_images_without_an_alt_get_one_and_those_with_one_keep_it(site):
    page = (
        '<img src="a.jpg"><img src="a.jpg" alt=""><img src="a.jpg" alt="mine"><IMG SRC=a.jpg alt>'
    )
    after, left = fill(site / "i.html", page)
    assert after.decode() == page.replace(
        '<img src="a.jpg">', f'<img alt="{said(site / "a.jpg")}" src="a.jpg">'
    )
    assert left == []


@pytest.mark.parametrize(
    "tag",
    [
        '<img src="a.jpg">',
        "<img src='a.jpg' >",
        "<img src=a.jpg>",
        "<IMG\r\n\tSRC = a.jpg\r\n>",
        "<img/src=a.jpg/>",
        '<img src="a.jpg"/>',
        '<img src="a.jpg" title="a > b">',
        "<img src=a.jpg class>",
        '<img src=" a.jpg ">',
        '<img src="./a.jpg?v=2#top">',
        '<img src="%61.jpg">',
        '<img src="&#97;.jpg">',
        '<img src="img/../a.jpg">',
        '<img src="a.jpg" src="bad.jpg">',
        '<img srcset="a.jpg 2x, bad.jpg">',
        '<img src="data:image/gif;base64,R0lG" srcset="gone.jpg 1x, a.jpg 2x">',
        '<picture><source srcset="a.jpg 800w"><img></picture>',
        '<picture><source srcset="bad.jpg"><img src="a.jpg"></picture>',
    ],
)
def test_however_a_tag_is_written_it_is_filled(site, tag):
    before = f"<!DOCTYPE html>\r\n<p>é\u2028\x85{tag}&eacute;</p>"
    after, left = fill(site / "i.html", before)
    assert left == []
    put_in = f' alt="{said(site / "a.jpg")}"'
    at = before.lower().index("<img") + 4
    assert after.decode() == before[:at] + put_in + before[at:]


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ('<img src="https://example.org/a.jpg">', "not on this machine"),
        ('<img src="//example.org/a.jpg">', "not on this machine"),
        ('<img src="file:///etc/passwd">', "not on this machine"),
        ('<img src="data:image/gif;base64,R0lG">', "in the page itself"),
        ('<img src="/a.jpg">', "say with --root"),
        ('<img src="../secret.jpg">', "not in the folder"),
        ('<img src="%2e%2e/secret.jpg">', "not in the folder"),
        ('<img src="img/../../secret.jpg">', "not in the folder"),
        ('<img src="way-out.jpg">', "not in the folder"),
        ('<img src="gone.jpg">', "no such file"),
        ('<img src="img">', "no file"),
        ('<img src="">', "says no source"),
        ("<img>", "says no source"),
        ('<img src="a%00.jpg">', "cannot be read"),
        ('<img src="http://[">', "cannot be read"),
        ('<img src="bad.jpg">', "not an image that can be read"),
        (f'<img src="{"x" * 5000}">', "cannot be read"),
        ('<img role="presentation" src="a.jpg">', "decoration"),
        ('<img aria-hidden="true" src="a.jpg">', "decoration"),
        ('<img aria-label="mine" src="a.jpg">', "has a label"),
        ('<base href="https://example.org/"><img src="a.jpg">', "not on this machine"),
    ],
)
def test_what_cannot_be_filled_is_left_and_said(site, tag, reason):
    before = f"<p>\n{tag}\n"
    after, [left] = fill(site / "i.html", before)
    assert after.decode() == before
    assert (left.page, left.line) == (str(site / "i.html"), 2)
    assert reason in left.reason


@pytest.mark.parametrize(
    "page",
    [
        "<!-- <img src=a.jpg> -->",
        "<script>'<img src=a.jpg>'</script>",
        "<style><img src=a.jpg></style>",
        "<textarea><img src=a.jpg></textarea>",
        "<title><img src=a.jpg></title>",
        "<p title='<img src=a.jpg>'>",
        "&lt;img src=a.jpg>",
        "<image src=a.jpg>",
        "< img src=a.jpg>",
        "<img src=a.jpg",
        "<img src='a.jpg>",
    ],
)
def test_what_is_no_tag_is_no_image(site, page):
    after, _ = fill(site / "i.html", page)
    assert after.decode() == page


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "windows-1252", "shift_jis", "gbk", "big5", "euc_kr", "koi8-r"],
)
def test_in_every_encoding_bytes_stay_and_the_files_are_found(site, encoding):
    text = {
        "shift_jis": "表ソ能",
        "gbk": "乗說",
        "big5": "許功蓋",
        "euc_kr": "한국",
        "koi8-r": "дом",
    }
    word = text.get(encoding, "é")
    (site / f"{word}.jpg").write_bytes(photo_bytes(5))
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    before = (
        f'<meta charset="{declared}">\r\n<p>{word}\r<img title="{word}" src="{word}.jpg">{word}'
    )
    data = before.encode(encoding)
    after, left = fill(site / "i.html", data)
    assert left == []
    assert after.decode(encoding) == before.replace(
        "<img", f'<img alt="{said(site / f"{word}.jpg")}"'
    )


@pytest.mark.parametrize("encoding", ["utf-16", "iso2022_jp"])
def test_pages_whose_tags_cannot_be_told_are_refused(site, encoding):
    with pytest.raises(DataError, match=r"i\.html: in UTF-16 or ISO-2022-JP; save it as UTF-8"):
        fill(site / "i.html", "<p>漢字<img src=a.jpg>".encode(encoding))


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_odd_file_names_are_found(site):
    names = [b"new\nline.jpg", b"quote\"'.jpg", b"\xff.jpg", b"100%.jpg", b"a&b;.jpg"]
    try:
        for name in names:
            Path(os.fsdecode(os.fsencode(site) + b"/" + name)).write_bytes(photo_bytes(1))
    except OSError:
        pytest.skip("this file system has names of text alone")
    for name in names:
        quoted = "".join(f"%{byte:02x}" for byte in name).encode()
        after, left = fill(site / "i.html", b'<img src="' + quoted + b'">')
        assert left == []
        assert b' alt="a dog' in after
    raw, left = fill(site / "i.html", b'<img src="\xff.jpg">')
    assert b' alt="a dog' in raw


def test_a_root_lets_images_lie_anywhere_in_the_site(site):
    page = (
        '<img src="/a.jpg"><img src="../img/b.jpg"><img src="e.jpg"><img src="/../../secret.jpg">'
    )
    after, left = fill(site / "blog" / "i.html", page, root=str(site))
    assert [alt is not None for _, alt in alts(after)] == [True, True, True, False]
    assert "not in the folder" in left[0].reason
    _, left = fill(site / "i.html", '<base href="img/"><img src="b.jpg"><img src="../a.jpg">')
    assert left == []


def test_an_image_that_is_there_often_is_captioned_once_over_all_pages(site):
    seer = Seer()
    pages = [site / "1.html", site / "2.html"]
    for page in pages:
        page.write_text("<img src=a.jpg><img src=./a.jpg>\n<img src=img/b.jpg>")
    events = list(fill_pages([*map(str, pages), str(pages[0])], seer))
    assert seer.said == {"a.jpg": 1, "b.jpg": 1}
    assert [e for e in events if isinstance(e, AltProgress)] == [
        AltProgress(1, 2),
        AltProgress(2, 2),
    ]
    assert [e.filled for e in events if isinstance(e, PageChange)] == [3, 3]


def test_a_page_that_is_named_in_two_ways_is_one(site, monkeypatch):
    (site / "i.html").write_text("<img src=a.jpg>")
    (site / "blog" / "way.html").symlink_to(site / "i.html")
    monkeypatch.chdir(site)
    names = ["i.html", "./i.html", "blog/../i.html", str(site / "i.html"), "blog/way.html"]
    changes = [e for e in fill_pages(names, Seer()) if isinstance(e, PageChange)]
    assert [each.path for each in changes] == ["i.html"]
    for each in changes:
        each.write()
    assert (site / "i.html").read_text() == f'<img alt="{said("a.jpg")}" src=a.jpg>'


ATTRIBUTE = st.from_regex(
    r"""\A\s(?:title|class|data-x|width)=(?:"[^"<]{0,9}"|'[^'<]{0,9}'|[a-z0-9]{1,5})\Z"""
)
TAG = st.builds(
    lambda before, src, after, end: f"<img{''.join(before)}{src}{''.join(after)}{end}",
    st.lists(ATTRIBUTE, max_size=2),
    st.sampled_from(
        [
            ' src="a.jpg"',
            " src='a.jpg'",
            "\nSRC=a.jpg ",
            ' src="a.jpg" alt=""',
            ' alt=x src="a.jpg"',
            "",
        ]
    ),
    st.lists(ATTRIBUTE, max_size=2),
    st.sampled_from([">", " >", " />", "\r\n>"]),
)
MARKUP = st.sampled_from(
    [
        "<p>",
        "</p>",
        "\r\n",
        "\n",
        "<!-- <img> -->",
        "<br/>",
        "&amp;",
        "é",
        "漢字",
        "<script>'<img>'</script>",
        "<b title='>'>",
        "]]>",
        "<?php <img> ?>",
    ]
)


SAYABLE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=20)


@given(
    st.lists(st.one_of(TAG, MARKUP, st.text("ab <>&;'\"\n\r!-/?", max_size=8)), max_size=12),
    SAYABLE,
)
def test_nothing_but_alt_attributes_is_ever_put_in(pieces, text):
    """Whatever the markup is, taking what was put in out again gives the page back."""
    data = "".join(pieces).encode()
    images = read_page(data).images
    put_in = attribute(text)
    after = data
    for image in reversed(images):
        assert after[: image.position][-4:].lower() == b"<img"
        after = after[: image.position] + put_in + after[image.position :]
    assert read_page(after).images == []  # none is without an alt now
    wanted = [(src, " ".join(text.split()) if alt is None else alt) for src, alt in alts(data)]
    assert alts(after) == wanted
    if put_in not in data:
        assert after.replace(put_in, b"") == data


def test_captions_are_escaped(site):
    class Rude(Seer):
        def photo_candidates(self, paths, **options):
            for path, [best, *_] in super().photo_candidates(paths, **options):
                yield path, [best._replace(text="\"><script>alert('1')</script>&amp; é漢")]

    after, _ = fill(site / "i.html", '<meta charset="koi8-r"><img src=a.jpg>', seer=Rude())
    assert alts(after) == [("a.jpg", "\"><script>alert('1')</script>&amp; é漢")]
    assert b"<script" not in after
    assert after.isascii()


def change(site, before, after):
    page = site / "i.html"
    page.write_bytes(before)
    return PageChange(str(page), before, after, 1)


def test_a_page_is_written_whole_and_keeps_its_mode(site):
    made = change(site, b"old", b"new")
    Path(made.path).chmod(0o640)
    made.write()
    assert Path(made.path).read_bytes() == b"new"
    assert Path(made.path).stat().st_mode & 0o777 == 0o640


def test_a_page_that_has_changed_meanwhile_is_not_written(site):
    made = change(site, b"old", b"new")
    Path(made.path).write_bytes(b"other")
    with pytest.raises(DataError, match="changed since it was read"):
        made.write()
    assert Path(made.path).read_bytes() == b"other"


def test_a_page_that_cannot_be_written_is_said_and_stays(site, monkeypatch):
    made = change(site, b"old", b"new")

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(DataError, match=r"cannot be written \(Read-only file system\)"):
        made.write()
    assert [p.name for p in site.glob(".*")] == []
    assert Path(made.path).read_bytes() == b"old"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_diff_is_one_that_patch_takes(site, end, tmp_path):
    import shutil
    import subprocess

    lines = [b"line %d\r\n" % n for n in range(30)]
    lines[3] = b"<img src=a.jpg>caf\xe9\n"
    lines[-1] = b"<p><img src=img/b.jpg>" + end
    data = b"".join(lines)
    after, _ = fill(site / "i.html", data)
    made = PageChange("i.html", data, after, 2)
    text = b"".join(made.diff())
    assert len(re.findall(rb"^@@", text, re.M)) == 2
    assert len(re.findall(rb"^[-+](?![-+]{2} )", text, re.M)) == 4
    if shutil.which("patch") is None:
        pytest.skip("no patch here")
    (tmp_path / "diff").write_bytes(text)
    command = ["patch", "--binary", "-p0", "-i", str(tmp_path / "diff")]
    subprocess.run(command, cwd=site, check=True, capture_output=True)
    assert (site / "i.html").read_bytes() == after


@pytest.mark.parametrize("content", [None, "folder", "long"])
def test_pages_that_cannot_be_read_are_said(site, content):
    page = site / "page.html"
    if content == "folder":
        page.mkdir()
    elif content == "long":
        page.write_bytes(b" " * ((16 << 20) + 1))
    with pytest.raises(DataError, match=r"page\.html: "):
        list(fill_pages([str(page)], Seer()))
