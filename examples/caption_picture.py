"""Draw photos with their captions below them into one picture, as the README shows.

python examples/caption_picture.py examples/photos/*.jpg --out captioned.png
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from unrolled.captioner import Captioner

SIDE, MARGIN, TEXT = 300, 12, 76  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw photos with their captions.")
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, help="a model folder; the shipped one unless given")
    parser.add_argument("--out", type=Path, default=Path("captioned.png"))
    arguments = parser.parse_args()

    captioned = list(Captioner.load(arguments.model).caption_photos(arguments.photos))
    width = len(captioned) * (SIDE + MARGIN) + MARGIN
    picture = Image.new("RGB", (width, SIDE + TEXT + 2 * MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=18)
    for column, (path, caption) in enumerate(captioned):
        left = MARGIN + column * (SIDE + MARGIN)
        with Image.open(path) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")
        picture.paste(ImageOps.fit(upright, (SIDE, SIDE)), (left, MARGIN))
        text = "\n".join(textwrap.wrap(caption.text, 34))
        draw.multiline_text((left, SIDE + 2 * MARGIN), text, fill="black", font=font)
    picture.save(arguments.out)


if __name__ == "__main__":
    main()
