"""The report: whole, sorted, bounded, and harmless whatever captions and names may hold."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from unrolled.captioner import Caption
from unrolled.errors import UnrolledError
from unrolled.jobs.evaluate import Evaluation
from unrolled.jobs.report import writing
from unrolled.jobs.report.writing import ReportProgress, write_report
from unrolled.metrics import diversity, intervals, score

HOSTILE = [
    "<script>alert(1)</script>",
    "</style></script><img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)",
    "<!-- --><svg/onload=alert(1)>",
    "\u202eright to left & <b>bold</b>",
]


def evaluation(said, references, paths=None):
    scores = score(said, references)
    return Evaluation(
        captions={name: Caption(text, -float(len(text))) for name, text in said.items()},
        references={name: tuple(texts) for name, texts in references.items()},
        scores=scores,
        intervals=intervals(scores, np.random.default_rng(0), resamples=10),
        diversity=diversity(said.values()),
        people=diversity(texts[0] for texts in references.values()),
        paths=dict.fromkeys(said) | (paths or {}),
    )


class Page(HTMLParser):
    """Which tags there are, with what attributes, and the text of those that matter."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def small():
    said = {f"{n}.jpg": text for n, text in enumerate(["a dog runs", "a cat", "a red dog sits"])}
    references = {"0.jpg": ["a dog runs"], "1.jpg": ["two birds fly"], "2.jpg": ["a red dog lies"]}
    return said, references


def written(tmp_path, result, title="t", facts=None):
    *progress, last = write_report(tmp_path / "r.html", result, title, facts or {})
    assert last == ReportProgress(last.total, last.total)
    assert len(progress) == last.total - 1
    return (tmp_path / "r.html").read_text("utf-8")


def test_every_photo_is_there_the_worst_first(tmp_path, small):
    said, references = small
    result = evaluation(said, references)
    page = Page(written(tmp_path, result, "My model", {"Decoding": {"width": 3}}))
    assert page.texts["h1"] == ["My model"]
    assert page.texts["h3"] == [
        said[result.scores.photos[row]] for row in result.scores.captions["CIDEr"].argsort()
    ]
    assert len(page.of("article")) == 3
    numbers = np.array([[float(v) for v in a["data-values"].split()] for a in page.of("article")])
    keys = page.texts["option"]
    assert keys == [*result.scores.captions, "log-probability", "words"]
    assert numbers.shape == (3, len(keys))
    assert (np.diff(numbers[:, keys.index("CIDEr")]) >= 0).all()
    assert [a["value"] for a in page.of("input") if a["type"] == "radio"] == ["worst", "best"]
    assert {"photos", "controls", "key", "words", "count", "cards"} <= {
        attributes["id"] for _, attributes in page.tags if "id" in attributes
    }


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_captions_names_and_cards_hold_is_text(tmp_path, small, hostile):
    tame = Page(written(tmp_path, evaluation(*small), "t", {"f": {"a": "b"}}))
    said = {f"{hostile}{n}": hostile for n in range(3)}
    references = {name: [hostile] for name in said}
    text = written(tmp_path, evaluation(said, references), hostile, {hostile: {hostile: hostile}})
    page = Page(text)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in tame.tags]  # none came in
    assert page.texts["h3"] == [hostile] * 3
    assert page.texts["title"] == [hostile]
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]


def test_only_its_own_script_and_style_may_run_and_nothing_is_fetched(tmp_path, small):
    text = written(tmp_path, evaluation(*small))
    page = Page(text)
    policy = next(a["content"] for a in page.of("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://|//\w+\.\w+|url\(|@import", text)
    assert not any("style" in attributes for _, attributes in page.tags)
    assert {a["href"] for a in page.of("a")} == {"#photos"}


def test_pictures_are_small_upright_and_left_out_where_they_cannot_be(tmp_path, small):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (900, 1200, 3), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    noise.save(tmp_path / "0.jpg", exif=turned)
    (tmp_path / "1.jpg").write_bytes(b"no photo")
    said, references = small
    paths = {"0.jpg": tmp_path / "0.jpg", "1.jpg": tmp_path / "1.jpg"}
    page = Page(written(tmp_path, evaluation(said, references, paths)))
    (picture,) = page.of("img")
    data = base64.b64decode(picture["src"].removeprefix("data:image/webp;base64,"))
    assert len(data) <= writing.MOST_BYTES
    (tmp_path / "thumb.webp").write_bytes(data)
    with Image.open(tmp_path / "thumb.webp") as image:
        assert max(image.size) <= writing.SIDE
        assert image.width * 4 == image.height * 3  # on its side no more
    assert page.texts["div"].count("The photo is not there.") == 2


def test_of_too_many_photos_the_best_and_the_worst_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_CARDS", 4)
    words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    said = {f"{n:02}": " ".join(words[: n + 1]) for n in range(10)}
    result = evaluation(said, {name: [" ".join(words)] for name in said})
    text = written(tmp_path, result)
    page = Page(text)
    order = result.scores.captions["CIDEr"].argsort(kind="stable")
    names = [result.scores.photos[row] for row in (*order[:2], *order[-2:])]
    assert page.texts["h3"] == [said[name] for name in names]
    assert "4 of 10 photos: those with the lowest and the highest CIDEr" in text


def test_names_that_are_no_text_do_not_stop_it(tmp_path):
    name = "caf\udce9.jpg"
    assert "caf?.jpg" in written(tmp_path, evaluation({name: "a dog"}, {name: ["a dog"]}))


def test_a_report_that_cannot_be_written_leaves_what_was_there(tmp_path, small, monkeypatch):
    (tmp_path / "r.html").write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UnrolledError, match=r"r.html: cannot be written \(No space left"):
        list(write_report(tmp_path / "r.html", evaluation(*small), "t", {}))
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]
    assert (tmp_path / "r.html").read_text() == "before"
