from __future__ import annotations

import json

import pytest
from pycocotools.coco import COCO

from unrolled.errors import InputError
from unrolled.metrics import from_coco_results, to_coco_annotations, to_coco_results

SAID = {
    "COCO_val2014_000000391895.jpg": "a man",
    "000000000042.jpg": "a cat",
    "me/dog.jpg": "a dog",
}
REFERENCES = {name: [text, "a thing"] for name, text in SAID.items()}


def test_results() -> None:
    assert to_coco_results(SAID) == [
        {"image_id": 391895, "caption": "a man"},
        {"image_id": 42, "caption": "a cat"},
        {"image_id": "me/dog.jpg", "caption": "a dog"},
    ]
    assert to_coco_results({"a": "x"}, {"a": 7, "b": 8}) == [{"image_id": 7, "caption": "x"}]


def test_cocos_own_tools_read_them(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = {name: number for number, name in enumerate(SAID, start=10)}
    annotations, results = tmp_path / "annotations.json", tmp_path / "results.json"
    for image_ids in (ids, None):
        annotations.write_text(json.dumps(to_coco_annotations(REFERENCES, image_ids)))
        results.write_text(json.dumps(to_coco_results(SAID, image_ids)))
        said = COCO(str(annotations))
        found = said.loadRes(str(results))
        for image_id in said.getImgIds():
            name = said.loadImgs([image_id])[0]["file_name"]
            assert [each["caption"] for each in said.imgToAnns[image_id]] == REFERENCES[name]
            assert [each["caption"] for each in found.imgToAnns[image_id]] == [SAID[name]]
    capsys.readouterr()  # COCO prints


def test_refuses_numbers_that_do_not_tell_photos_apart() -> None:
    with pytest.raises(InputError, match="no number for 'a'"):
        to_coco_results({"a": "x"}, {"b": 1})
    with pytest.raises(InputError, match="'a' and 'b' both have the image_id 1"):
        to_coco_results({"a": "x", "b": "y"}, {"a": 1, "b": 1})
    with pytest.raises(InputError, match="both have the image_id 42"):
        to_coco_annotations({"000000000042.jpg": ["x"], "COCO_val2014_000000000042.jpg": ["y"]})


def test_results_are_read_back() -> None:
    records = json.loads(json.dumps(to_coco_results(SAID)))
    assert from_coco_results(records, list(SAID)) == SAID
    assert from_coco_results([*records, {"image_id": 5, "caption": "z"}], ["me/dog.jpg"]) == {
        "me/dog.jpg": "a dog"
    }


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "no caption for 'a' and 1 other"),
        ([{"image_id": "a", "caption": "x"}], "no caption for 'b'"),
        ([{"image_id": "a", "caption": "x"}, {"image_id": "a", "caption": "y"}], "two captions"),
        ([{"image_id": ["a"], "caption": "x"}], "a list of"),
        ([{"image_id": "a"}], "a list of"),
        ({"a": "x"}, "a list of"),
        (7, "a list of"),
        ([None], "a list of"),
    ],
)
def test_what_is_no_result_is_refused(records: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_coco_results(records, ["a", "b"])
