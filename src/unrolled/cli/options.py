"""Options that several commands have, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Beam = Annotated[
    int | None,
    typer.Option(help="Width of the beam search, 1 for greedy; the model's own unless given."),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        help="lite0, lite1 or lite2; with another input size, lite2@320; an ONNX file of your own, "
        "net.onnx, with its settings in net.json; or several joined, lite0+lite2."
    ),
]
OwnEncoder = Annotated[
    str | None,
    typer.Option(
        "--encoder", help="The model's encoder, where an ONNX file of your own is part of it."
    ),
]
Features = Annotated[
    Path | None, typer.Option(help="A feature store, instead of encoding the photos.")
]
Format = Annotated[str | None, typer.Option(help="Layout of the captions, if not recognised.")]
Models = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        help="A model folder, or default or strong, which ship. Given several times, the "
        "models speak together: each word has the mean of their probabilities.",
    ),
]
Photos = Annotated[
    Path | None, typer.Option(help="Where the photos are, if not where the layout has them.")
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Also folders in folders.")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Go on without photos that cannot be read.")
]

ENVIRONMENT_HELP = (
    "Environment: UNROLLED_KERNELS=numpy, portable, avx2, avx512 or amx forces these kernels, "
    "instead of the best that the CPU has; UNROLLED_THREADS is how many threads they use, instead "
    "of one for each CPU that may be used, or of OMP_NUM_THREADS if that is less."
)
