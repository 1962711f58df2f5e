"""Writes a small data set in each layout that `read_captions` knows; shared by the tests here."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

SHARED = Path(__file__).parents[2].parent / "shared"


class Item(NamedTuple):
    name: str
    split: str
    captions: tuple[str, ...]


def write_photos(folder: Path, items: list[Item]) -> None:
    for item in items:
        path = folder / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not decoded here")


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))
    return path


def write_flickr8k(folder: Path, items: list[Item]) -> Path:
    lines = [
        f"{item.name}#{number}\t{caption}\n"
        for item in items
        for number, caption in enumerate(item.captions)
    ]
    write_text(folder / "Flickr8k.token.txt", "".join(lines))
    for split in ("train", "dev", "test"):
        names = "".join(f"{item.name}\n" for item in items if item.split == split)
        write_text(folder / f"Flickr_8k.{split}Images.txt", names)
    write_photos(folder / "Flicker8k_Dataset", items)
    return folder


def write_kaggle(folder: Path, items: list[Item]) -> Path:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["image", "caption"])
    writer.writerows([item.name, caption] for item in items for caption in item.captions)
    write_text(folder / "captions.txt", out.getvalue())
    write_photos(folder / "Images", items)
    return folder


def write_karpathy(folder: Path, items: list[Item]) -> Path:
    names = {"train": "restval", "dev": "val", "test": "test"}
    images = [
        {
            "filename": item.name,
            "split": names[item.split],
            "sentences": [{"raw": caption, "tokens": caption.split()} for caption in item.captions],
        }
        for item in items
    ]
    write_text(folder / "dataset_mine.json", json.dumps({"images": images, "dataset": "mine"}))
    write_photos(folder / "images", items)
    return folder


def write_coco(folder: Path, items: list[Item]) -> Path:
    for split, tag in (("train", "train2017"), ("dev", "val2017"), ("test", "test2017")):
        mine = [(number, item) for number, item in enumerate(items) if item.split == split]
        value = {
            "info": {},
            "images": [{"id": number, "file_name": item.name} for number, item in mine],
            "annotations": [
                {"id": at, "image_id": number, "caption": caption}
                for number, item in mine
                for at, caption in enumerate(item.captions)
            ],
        }
        path = folder / "annotations" / f"captions_{tag}.json"
        write_text(path, json.dumps(value, ensure_ascii=False))
        write_photos(folder / tag, [item for _, item in mine])
    return folder


def write_folder(folder: Path, items: list[Item]) -> Path:
    write_photos(folder, items)
    for item in items:
        write_text((folder / item.name).with_suffix(".txt"), "\n".join(item.captions))
    return folder


WRITERS = {
    "flickr8k": write_flickr8k,
    "kaggle": write_kaggle,
    "karpathy": write_karpathy,
    "coco": write_coco,
    "folder": write_folder,
}
