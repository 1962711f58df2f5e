"""``unrolled evaluate``: the scores, and the captions that were scored."""

import json

import pytest

from small_world import made_photos, write_flickr8k
from unrolled.captioner import shipped
from unrolled.metrics import java_is_there, score, to_coco_results


@pytest.fixture
def evaluate(cli, captioner_folder, flickr8k, lite_store):
    """Call ``unrolled evaluate`` on the small world's features."""
    known = ("--data", flickr8k, "--features", lite_store)
    return lambda *arguments: cli("evaluate", captioner_folder, *known, *arguments)


def references(split):
    return {made.name: made.captions for made in made_photos() if made.split == split}


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_scores_are_those_of_the_captions_it_writes(evaluate, tmp_path, split):
    out = tmp_path / "captions.json"
    said = evaluate("--split", split, "--out", out, "--json")
    assert (said.code, said.err) == (0, "")
    record = json.loads(said.out)
    results = json.loads(out.read_text("utf-8"))
    assert all(set(each) == {"image_id", "caption"} for each in results)
    texts = {each["image_id"]: each["caption"] for each in results}
    assert list(texts) == list(references(split))
    assert record["scores"] == score(texts, references(split)).corpus
    assert record["photos"] == len(texts)
    assert (record["split"], record["beam"]) == (split, 3)
    assert record["tokenizer"].startswith("unrolled")


def test_what_it_writes_are_the_captions_of_unrolled_caption(
    evaluate, cli, tmp_path, photos, captioner_folder
):
    out = tmp_path / "captions.json"
    assert evaluate("--out", out, "--beam", 2).code == 0
    names = list(references("dev"))
    paths = [photos / name for name in names]
    said = cli("caption", *paths, "--model", captioner_folder, "--beam", 2, "--json")
    assert [each["caption"] for each in json.loads(said.out)] == [
        each["caption"] for each in json.loads(out.read_text("utf-8"))
    ]


def test_the_table_is_of_percents(evaluate):
    scores = json.loads(evaluate("--json").out)["scores"]
    said = evaluate()
    assert said.err == "3 photos of dev, beam 3, x 100:\n"
    lines = [line.split() for line in said.out.splitlines() if line.strip()]
    heading, _, numbers, low, high, columns, *diversity = lines
    assert heading == list(scores)
    assert numbers == ["score", *(f"{100 * value:.1f}" for value in scores.values())]
    assert (low[:3], high[:1]) == (["95", "%", "from"], ["to"])
    for of, value, to in zip(low[3:], numbers[1:], high[1:], strict=True):
        assert float(of) <= float(value) <= float(to)
    assert columns == ["captions", "model", "people"]
    assert len(diversity) == 10


def test_the_record_holds_everything(evaluate):
    record = json.loads(evaluate("--json").out)
    said = {each["photo"]: each["caption"] for each in record["captions"]}
    assert list(said) == list(references("dev"))
    scores = score(said, references("dev"))
    for each in record["captions"]:
        assert each["scores"] == scores.of(each["photo"])
        assert each["log_prob"] < 0
        assert [text.rstrip(" .") for text in each["references"]] == [
            text.rstrip(" .") for text in references("dev")[each["photo"]]
        ]
    for name, value in record["scores"].items():
        low, high = record["intervals"][name]
        assert low <= value <= high
    assert record["diversity"]["captions"] == record["diversity_of_people"]["captions"] == 3
    assert record["diversity"]["novel"] == 0  # circles and squares are all it ever heard of
    assert record["decoding"]["width"] == record["beam"] == 3
    assert "against" not in record


def test_against_itself_and_against_its_own_captions_nothing_differs(
    evaluate, captioner_folder, tmp_path
):
    assert evaluate("--out", tmp_path / "c.json").code == 0
    for other in (captioner_folder, tmp_path / "c.json"):
        said = evaluate("--against", other, "--json")
        assert said.code == 0, said.err
        against = json.loads(said.out)["against"]
        assert list(against) == list(json.loads(said.out)["scores"])
        for found in against.values():
            assert found == {"difference": 0, "low": 0, "high": 0, "p": 1}
    said = evaluate("--against", captioner_folder)
    assert "against the other" in said.out
    assert "1.0000" in said.out


def test_against_other_captions_the_difference_is_that_of_the_scores(evaluate, tmp_path):
    others = dict.fromkeys(references("dev"), "a dog")
    (tmp_path / "c.json").write_text(json.dumps(to_coco_results(others)))
    record = json.loads(evaluate("--against", tmp_path / "c.json", "--json").out)
    theirs = score(others, references("dev")).corpus
    for name, found in record["against"].items():
        assert found["difference"] == pytest.approx(record["scores"][name] - theirs[name])


def test_a_captioner_of_another_encoder_gets_its_features_or_says_why_not(evaluate, run_folder):
    said = evaluate("--against", run_folder / "best")
    assert "is not of the other captioner's encoder: encoding photos" in said.err
    assert (said.code, said.out) == (2, "")  # nobody has the made-up encoder
    assert "made-up" in said.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "neither a model folder nor a JSON file of captions"),
        ("[" * 100_000, "neither a model folder nor a JSON file of captions"),
        ("[]", "no caption for"),
        ('[{"image_id": 1}]', "COCO's result format"),
    ],
)
def test_captions_to_compare_with_that_are_none(evaluate, tmp_path, content, message):
    (tmp_path / "c.json").write_text(content)
    said = evaluate("--against", tmp_path / "c.json")
    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_a_report_is_one_file_with_every_photo(evaluate, tmp_path):
    said = evaluate("--report", tmp_path / "dev.html", "--against", _none(tmp_path))
    assert said.code == 0, said.err
    assert "wrote " in said.err
    assert [each.name for each in tmp_path.iterdir() if "html" in each.name] == ["dev.html"]
    page = (tmp_path / "dev.html").read_text("utf-8")
    assert all(name in page for name in references("dev"))
    assert page.count("data:image/webp;base64,") == 3
    assert "Beside the other captioner" in page


def _none(folder):
    file = folder / "others.json"
    file.write_text(json.dumps(to_coco_results(dict.fromkeys(references("dev"), "a dog"))))
    return file


def test_metrics_are_those_asked_for(evaluate):
    scores = json.loads(evaluate("--json", "--metrics", "CIDEr, ROUGE").out)["scores"]
    assert list(scores) == ["CIDEr", "ROUGE-L"]


def test_photos_are_encoded_where_no_features_are_given(
    cli, evaluate, captioner_folder, flickr8k, tmp_path
):
    said = cli("evaluate", captioner_folder, "--data", flickr8k, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out) == json.loads(evaluate("--json").out)
    data = write_flickr8k(tmp_path / "f8k")
    (data / "Flicker8k_Dataset").rename(tmp_path / "photos")
    said = cli("evaluate", captioner_folder, "--data", data)
    assert said.code == 2
    assert "3 of 3 photos are not there" in said.err
    said = cli(
        "evaluate", captioner_folder, "--data", data, "--photos", tmp_path / "photos", "--json"
    )
    assert json.loads(said.out)["photos"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "evening"], "no photos in split 'evening'"),
        (["--metrics", "CIDER"], "no metric 'CIDER'"),
        (["--metrics", ""], "no metric ''"),
        (["--tokenizer", "moses"], "no tokenizer 'moses'"),
        (["--features", "{tmp}/gone"], "no such feature store"),
        (["--format", "coco"], "captions"),
        (["--format", "json"], "unknown caption format 'json'"),
        (["--data", "{tmp}/gone"], "no such file or folder"),
        (["--out", "{tmp}/gone/c.json"], "cannot be written, there is no folder"),
        (["--report", "{tmp}/gone/c.html"], "cannot be written, there is no folder"),
        (["--report", "/proc/c.html"], "/proc/c.html: cannot be written"),
        (["--out", "/proc/c.json"], "/proc/c.json: cannot be written"),
        (["--report", "{tmp}"], "a folder; name a file to write to"),
        (["--against", "{tmp}/gone"], "gone"),
        (["--beam", "0"], "width must be a whole number from 1 to 100, got 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_refused(evaluate, tmp_path, arguments, message):
    said = evaluate(*(each.format(tmp=tmp_path) for each in arguments))
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert said.err.startswith("error: ")


def test_a_split_without_photos_is_refused(cli, captioner_folder, tmp_path):
    data = write_flickr8k(tmp_path / "f8k")
    (data / "Flickr_8k.devImages.txt").write_text("")
    said = cli("evaluate", captioner_folder, "--data", data)
    assert (said.code, said.out) == (2, "")
    assert "no photos in split 'dev'; these captions have train (8 photos), test (3" in said.err


def test_features_of_another_encoder_are_refused(evaluate, store):
    said = evaluate("--features", store)
    assert (said.code, said.out) == (2, "")
    assert (
        f"error: {store}: made by another encoder than is wanted (name: expected 'lite0', got"
        in (said.err)
    )


@pytest.mark.parametrize("wish", [["--metrics", "BLEU,METEOR"], ["--tokenizer", "ptb"]])
def test_what_needs_java_says_so_where_there_is_none(evaluate, monkeypatch, tmp_path, wish):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = evaluate(*wish)
    assert (said.code, said.out) == (2, "")
    assert "needs Java" in said.err
    assert "install a Java runtime" in said.err


@pytest.mark.peers
@pytest.mark.skipif(not java_is_there(), reason="no java on the PATH")
def test_with_java_there_is_meteor(evaluate):
    said = evaluate("--metrics", "METEOR", "--tokenizer", "ptb", "--json")
    assert said.code == 0, said.err
    record = json.loads(said.out)
    assert 0 < record["scores"]["METEOR"] <= 1
    assert record["tokenizer"].startswith("stanford")


def test_shipped_captioners_have_names(cli, flickr8k, monkeypatch, captioner_folder, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "own").symlink_to(captioner_folder, target_is_directory=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("unrolled.captioner.shipping._PLACE", tmp_path)
    assert shipped() == ("own",)
    said = cli("evaluate", "own", "--data", flickr8k, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["photos"] == 3
    for names in (("info", "owm"), ("evaluate", "owm", "--data", flickr8k)):
        said = cli(*names)
        assert said.code == 2
        assert "owm: there is no such folder, and the captioners that come" in said.err
        assert said.err.rstrip().endswith("own")


def test_a_folder_that_is_there_comes_before_a_shipped_captioner(cli, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert cli("info", "default").code == 2
