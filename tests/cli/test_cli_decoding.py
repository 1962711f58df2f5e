"""The options of how captions are found, on the command line."""

import csv
import io
import json

import numpy as np
import pytest

from small_world import SPECIAL
from unrolled.captioner import Captioner, Decoding, Wishes
from unrolled.data import FeatureStore, tokenize
from unrolled.errors import InputError


@pytest.fixture
def caption(cli, captioner_folder, photos):
    """Call ``unrolled caption --json`` with the small captioner on three photos."""
    three = sorted(photos.iterdir())[:3]

    def run(*arguments, form="--json"):
        return cli("caption", "--model", captioner_folder, *three, form, *arguments)

    return run


def texts(said):
    assert said.code == 0, said.err
    return [record["caption"] for record in json.loads(said.out)]


def test_n_best_are_beside_the_best(caption, captioner_folder, lite_store):
    best = json.loads(caption("--beam", 4).out)
    records = json.loads(caption("--beam", 4, "--n-best", 3).out)
    model, store = Captioner.load(captioner_folder), FeatureStore.open(lite_store)
    for record, alone in zip(records, best, strict=True):
        captions = record["captions"]
        assert {key: record[key] for key in alone} == alone
        assert captions[0] == {"caption": alone["caption"], "log_prob": alone["log_prob"]}
        assert len({each["caption"] for each in captions}) == len(captions) == 3
        values = [each["log_prob"] for each in captions]
        assert values == sorted(values, reverse=True)
        row = store.pooled[store.index(record["path"].rpartition("/")[2])][None]
        for each in captions:
            ids = np.array([model.vocabulary.encode(tokenize(each["caption"]))])
            assert each["log_prob"] == pytest.approx(
                -float(model.model.loss(row, ids).loss), rel=1e-3
            )


def test_n_best_in_rows(caption):
    records = json.loads(caption("--n-best", 2, "--beam", 2).out)
    rows = list(csv.reader(io.StringIO(caption("--n-best", 2, "--beam", 2, form="--csv").out)))
    assert rows[0] == ["path", "caption", "log_prob"]
    assert [tuple(row[:2]) for row in rows[1:]] == [
        (record["path"], each["caption"]) for record in records for each in record["captions"]
    ]


def test_n_best_widens_the_beam_that_nobody_chose(caption):
    assert {len(r["captions"]) for r in json.loads(caption("--n-best", 5).out)} == {5}


def test_the_table_of_n_best_names_a_photo_once(cli, captioner_folder, photos):
    photo = photos / "00_red.jpg"
    said = cli("caption", photo, "--model", captioner_folder, "--n-best", 3)
    assert said.out.count(str(photo)) == 1
    lines = [line for line in said.out.splitlines() if line.strip()]
    assert len(lines) == 2 + 3  # heading, rule, captions
    assert lines[0].split() == ["Photo", "Caption", "Log-probability"]


def test_equal_seeds_draw_equal_captions(caption):
    first = json.loads(caption("--sample", "--temperature", 3, "--seed", 4, "--n-best", 3).out)
    again = json.loads(caption("--sample", "--temperature", 3, "--seed", 4, "--n-best", 3).out)
    other = json.loads(caption("--sample", "--temperature", 3, "--seed", 5, "--n-best", 3).out)
    assert first == again
    assert first != other


def test_what_is_drawn_does_not_depend_on_the_other_photos(caption, cli, captioner_folder):
    wish = ("--sample", "--top-p", 0.9, "--seed", 1)
    together = json.loads(caption(*wish).out)
    for record in together[::-1]:
        said = cli("caption", record["path"], "--model", captioner_folder, "--json", *wish)
        [alone] = json.loads(said.out)
        assert alone["caption"] == record["caption"]


def test_lengths_words_and_beginnings_are_as_asked_for(caption):
    assert all(len(text.split()) <= 2 for text in texts(caption("--max-length", 2)))
    long = texts(caption("--min-length", 12, "--no-repeat-ngram", 3))
    assert all(len(text.split()) >= 12 for text in long)
    assert all(text.startswith("there is") for text in texts(caption("--prefix", "There is")))
    plain = texts(caption())
    word = plain[0].split()[-1]
    other = texts(caption("--forbid", word, "--forbid", "zebra"))
    assert plain != other
    assert not any(word in text.split() for text in other)
    for text in (*long, *other):
        assert not any(mark in text for mark in SPECIAL)


def test_groups_say_different_things(caption):
    records = json.loads(caption("--beam", 4, "--groups", 4, "--diversity", 20, "--n-best", 4).out)
    for record in records:
        assert len({each["caption"].split()[0] for each in record["captions"]}) > 1


def test_groups_share_a_beam_that_nobody_named(caption):
    """The captioner's own beam is 3, which 2 groups cannot share."""
    plain = caption("--groups", 2)
    assert plain.code == 0, plain.err
    assert texts(plain) == texts(caption("--beam", 4, "--groups", 2))
    assert texts(caption("--groups", 2, "--n-best", 5)) == texts(
        caption("--beam", 6, "--groups", 2, "--n-best", 5)
    )


def test_groups_that_cannot_share_the_widest_beam_share_a_narrower_one():
    assert Wishes({"groups": 3}).over(Decoding(width=100)).width == 99
    with pytest.raises(InputError, match="groups must be a whole number from 1 to 100, got 101"):
        Wishes({"groups": 101}).over(Decoding(width=100))


def test_two_models_speak_together(caption, captioner_folder):
    alone = json.loads(caption().out)
    twice = json.loads(caption("--model", captioner_folder).out)
    for one, two in zip(alone, twice, strict=True):
        assert one["caption"] == two["caption"]
        assert one["log_prob"] == pytest.approx(two["log_prob"], rel=1e-4)


def test_models_of_other_words_do_not(caption, tmp_path, captioner_folder):
    from unrolled.data import Vocabulary
    from unrolled.model import CaptioningRNN

    words = Vocabulary((*SPECIAL, "zebra"))
    model = CaptioningRNN(words.word_to_idx, 1280, 4, 4, "gru", seed=0)
    encoder = Captioner.load(captioner_folder).encoder
    Captioner(model, words, encoder, Decoding()).save(tmp_path / "other")
    said = caption("--model", tmp_path / "other")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: captioner 2 has other words than captioner 1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--beam", 2, "--n-best", 3], "--n-best 3 wants a beam of at least 3, got --beam 2"),
        (["--beam", 2, "--sample"], "--beam is for the search, and --sample draws"),
        (["--sample", "--groups", 2], "groups is for the search"),
        (["--top-k", 3], "top_k is for captions that are drawn; say sample too"),
        (["--beam", 3, "--groups", 2], "2 groups cannot share a beam of 3 evenly"),
        (["--groups", 0], "groups must be a whole number from 1 to 100, got 0"),
        (["--beam", 1, "--consensus"], "consensus chooses among captions, and a beam of 1 finds"),
        (["--sample", "--consensus"], "only one is drawn; ask for more, or leave out consensus"),
        (["--diversity", 1], "diversity is between groups"),
        (["--min-length", 40], "min_length 40 is above max_length 30"),
        (["--prefix", "zebra"], "the prefix holds 'zebra', a word that the model does not know"),
        (["--forbid", "dog's"], '"dog\'s" is read as'),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_what_cannot_be_had_together_is_refused_in_words(caption, arguments, message):
    said = caption(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert message in said.err


@pytest.fixture
def evaluate(cli, captioner_folder, flickr8k, lite_store):
    known = ("--data", flickr8k, "--features", lite_store, "--metrics", "CIDEr")
    return lambda *arguments: cli("evaluate", captioner_folder, *arguments, *known)


def test_evaluate_decodes_as_asked_for(evaluate, captioner_folder):
    said = evaluate("--sample", "--seed", 3, "--json")
    assert said.code == 0, said.err
    decoding = json.loads(said.out)["decoding"]
    assert (decoding["sample"], decoding["seed"], decoding["width"]) == (True, 3, 1)
    assert evaluate("--sample", "--seed", 3).err == "3 photos of dev, drawn with seed 3, x 100:\n"
    said = evaluate("--beam", 4, "--groups", 2)
    assert said.err == "3 photos of dev, beam 4 in 2 groups, x 100:\n"
    assert json.loads(evaluate("--json", "--beam", 4, "--groups", 2).out)["decoding"][
        "diversity"
    ] == pytest.approx(0.5)


def test_evaluate_takes_several_models(evaluate, captioner_folder):
    alone = json.loads(evaluate("--json").out)["scores"]
    assert json.loads(evaluate(captioner_folder, "--json").out)["scores"] == alone


def test_consensus_chooses_among_the_same_captions(caption, captioner_folder, lite_store):
    plain = json.loads(caption("--beam", 6, "--n-best", 6).out)
    agreed = json.loads(caption("--beam", 6, "--n-best", 6, "--consensus").out)
    for one, other in zip(plain, agreed, strict=True):
        by_text = {each["caption"]: each["log_prob"] for each in one["captions"]}
        assert {each["caption"]: each["log_prob"] for each in other["captions"]} == by_text
    assert plain != agreed


def test_consensus_of_the_model_gives_way_to_what_is_asked_for(
    cli, captioner_folder, photos, tmp_path
):
    made = cli("export", captioner_folder, "--out", tmp_path / "m", "--beam", 6, "--consensus")
    assert made.code == 0, made.err
    photo = sorted(photos.iterdir())[0]

    def said(*options):
        return texts(cli("caption", "--model", tmp_path / "m", photo, "--json", *options))

    own = said()
    assert own == said("--consensus")
    for options in (["--length-norm", 0.5], ["--no-consensus"], ["--beam", 1], ["--sample"]):
        assert len(said(*options)) == 1
    assert said("--sample", "--seed", 3) == said("--sample", "--seed", 3, "--no-consensus")
    assert cli("caption", photo, "--consensus", "--length-norm", 1).code == 2
