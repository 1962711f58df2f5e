"""COCO's files: what a model said (results) and what people said (annotations).

Source: the result and annotation formats of https://cocodataset.org/#format-results. In them a
photo is known by its ``image_id``. A COCO photo's name carries its number
(``COCO_val2014_000000391895.jpg`` is 391895), and that is taken; any other photo is known by its
name as it stands, which COCO's tools take as well. Or pass the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unrolled.errors import InputError

__all__ = ["from_coco_results", "to_coco_annotations", "to_coco_results"]

ImageId = int | str

_COCO_NAME = re.compile(r"(?:COCO_[a-z]+\d{4}_)?(\d{12})(?:\.\w+)?")


def to_coco_results(
    candidates: Mapping[str, str], image_ids: Mapping[str, int | str] | None = None
) -> list[dict[str, Any]]:
    """Put captions into COCO's result format.

    Parameters
    ----------
    candidates : mapping of str to str
        A caption for each photo.
    image_ids : mapping of str to int or str, optional
        Each photo's number.

    Returns
    -------
    list of dict
        ``{"image_id": ..., "caption": ...}`` for each photo, ready for `json.dump`.

    Raises
    ------
    InputError
        If a photo has no number in `image_ids`, or two photos have the same one.
    """
    ids = _ids(candidates, image_ids)
    return [{"image_id": ids[name], "caption": text} for name, text in candidates.items()]


def from_coco_results(records: object, names: Iterable[str]) -> dict[str, str]:
    """Find photos' captions in COCO's result format.

    Parameters
    ----------
    records : list of dict
        As `to_coco_results` gives them, out of a JSON file that may hold anything.
    names : iterable of str
        The photos wanted.

    Returns
    -------
    dict of str to str
        A caption for each of them; other records are left out.

    Raises
    ------
    InputError
        If a photo has no caption, or two, or the records are none of COCO's.
    """
    said: dict[ImageId, str] = {}
    for record in records if isinstance(records, list) else [records]:
        image_id = record.get("image_id") if isinstance(record, dict) else None
        caption = record.get("caption") if isinstance(record, dict) else None
        if not (isinstance(image_id, (int, str)) and isinstance(caption, str)):
            raise InputError(
                'metrics: COCO\'s result format is a list of {"image_id": ..., "caption": ...}, '
                f"got {record!r:.60}"
            )
        if said.setdefault(image_id, caption) != caption:
            raise InputError(f"metrics: two captions for the image_id {image_id!r}; leave one")
    ids = _ids(list(names), None)
    missing = [name for name, image_id in ids.items() if image_id not in said]
    if missing:
        raise InputError(
            f"metrics: no caption for {missing[0]!r} and {len(missing) - 1:,} other photos; "
            "captions of the same photos are needed"
        )
    return {name: said[image_id] for name, image_id in ids.items()}


def to_coco_annotations(
    references: Mapping[str, Sequence[str]], image_ids: Mapping[str, int | str] | None = None
) -> dict[str, Any]:
    """Put references into COCO's annotation format, to go with `to_coco_results`.

    Parameters
    ----------
    references : mapping of str to sequence of str
        Each photo's captions by people.
    image_ids : mapping of str to int or str, optional
        Each photo's number: the same as for the results.

    Returns
    -------
    dict
        ``images``, ``annotations`` and what else the format asks for, ready for `json.dump`.

    Raises
    ------
    InputError
        If a photo has no number in `image_ids`, or two photos have the same one.
    """
    ids = _ids(references, image_ids)
    pairs = [(ids[name], text) for name, texts in references.items() for text in texts]
    return {
        "info": {},
        "licenses": [],
        "type": "captions",
        "images": [{"id": ids[name], "file_name": name} for name in references],
        "annotations": [
            {"id": number, "image_id": image_id, "caption": text}
            for number, (image_id, text) in enumerate(pairs, start=1)
        ],
    }


def _ids(names: Iterable[str], given: Mapping[str, ImageId] | None) -> dict[str, ImageId]:
    if given is None:
        ids = {name: _own_id(name) for name in names}
    else:
        missing = [name for name in names if name not in given]
        if missing:
            raise InputError(f"metrics: image_ids has no number for {missing[0]!r}; give it one")
        ids = {name: given[name] for name in names}
    first: dict[ImageId, str] = {}
    for name, image_id in ids.items():
        if first.setdefault(image_id, name) != name:
            raise InputError(
                f"metrics: {first[image_id]!r} and {name!r} both have the image_id {image_id!r}; "
                "pass image_ids that tell them apart"
            )
    return ids


def _own_id(name: str) -> ImageId:
    match = _COCO_NAME.fullmatch(name)
    return int(match[1]) if match else name
