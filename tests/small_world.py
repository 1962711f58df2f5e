"""A data set of fourteen made photos, and what training on it needs, for tests of whole jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from unrolled.data import FeatureWriter

SHARED = Path(__file__).parents[1].parent / "shared"
ENCODER = {"name": "made-up", "size": "8", "weights_sha256": "none"}
DIM = 6
COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 210)}
SPLITS = ("train",) * 8 + ("dev",) * 3 + ("test",) * 3
SPECIAL = ("<NULL>", "<START>", "<END>", "<UNK>")

FLAGS = (
    *("--min-count", "1", "--wordvec-dim", "8", "--hidden-dim", "8", "--epochs", "3"),
    *("--batch-size", "4", "--learning-rate", "0.05", "--dropout", "0.3", "--patience", "0"),
)
"""Of a training that takes a blink."""

SEEING = """
[data]
min_count = 1

[model]
wordvec_dim = 16
hidden_dim = 32
dropout = 0.0

[training]
epochs = 25
batch_size = 2
learning_rate = 0.01
best_by = "val_loss"
patience = 0
"""
"""A recipe that learns to tell circles from squares."""


class Made(NamedTuple):
    name: str
    split: str
    captions: tuple[str, ...]


def made_photos() -> list[Made]:
    made = []
    for number, split in enumerate(SPLITS):
        colour = list(COLOURS)[number % 3]
        shape = ("circle", "square")[number % 2]
        captions = (
            f"A {colour} {shape} on paper .",
            f"There is a {shape} that is {colour} .",
        )
        made.append(Made(f"{number:02}_{colour}.jpg", split, captions))
    return made


def draw(made: Made) -> Image.Image:
    image = Image.new("RGB", (64, 48), (240, 240, 230))
    colour = next(rgb for name, rgb in COLOURS.items() if name in made.name)
    pen = ImageDraw.Draw(image)
    shape = pen.ellipse if "circle" in made.captions[0] else pen.rectangle
    shape((16, 8, 48, 40), fill=colour)
    return image


def write_flickr8k(folder: Path) -> Path:
    """In Flickr8k's layout, split 8, 3, 3."""
    photos = folder / "Flicker8k_Dataset"
    photos.mkdir(parents=True)
    lines = []
    for made in made_photos():
        draw(made).save(photos / made.name)
        lines += [f"{made.name}#{n}\t{text}\n" for n, text in enumerate(made.captions)]
    (folder / "Flickr8k.token.txt").write_text("".join(lines), encoding="utf-8")
    for split in ("train", "dev", "test"):
        names = "".join(f"{made.name}\n" for made in made_photos() if made.split == split)
        (folder / f"Flickr_8k.{split}Images.txt").write_text(names, encoding="utf-8")
    return folder


def write_folder(folder: Path) -> Path:
    """As a folder of photos, each with its text; split by a hash."""
    folder.mkdir(parents=True)
    for made in made_photos():
        draw(made).save(folder / made.name)
        (folder / made.name).with_suffix(".txt").write_text("\n".join(made.captions))
    return folder


def write_store(path: Path, encoder: dict[str, str] = ENCODER, dim: int = DIM) -> Path:
    """Write features that say something about each photo, as if a narrow encoder had made them."""
    rng = np.random.default_rng(5)
    names = [made.name for made in made_photos()]
    with FeatureWriter(path, names, encoder, dim=dim) as writer:
        for number, name in enumerate(names):
            row = rng.normal(0, 0.1, dim)
            row[number % 3] += 1
            row[3 + number % 2] += 1
            writer.add(name, row)
    return path


def write_own_encoder(path: Path) -> Path:
    """Write an ONNX file, and its settings, that sees the colour of each quarter of a photo."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("AveragePool", ["x"], ["map"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("map", "mean")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    settings = {"size": 8, "mean": 127, "scale": 50, "pooled": "mean", "grid": "map"}
    path.with_suffix(".json").write_text(json.dumps(settings))
    return path


def read_events(run: Path) -> list[dict]:
    """Every record of a run's log as it lies in the file."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
