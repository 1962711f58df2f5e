"""What is measured: the sizes, the captions and the rows, the same for everybody.

A case's weights and numbers come from its seed alone, so that every process makes the same ones.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.data import Vocabulary, encode_captions, read_captions, tokenize
from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN

NULL, START, END, FIRST_WORD = 0, 1, 2, 4
GATES = {"rnn": 1, "lstm": 4}
"""Widths of a cell's products, in units of H; these are the cells that are measured."""
BATCH, MIN_COUNT, LONGEST = 128, 5, 30

FLICKR8K_WORDS = 2543
"""Words that stand five times or more in the captions of Flickr8k's 6,000 training photos."""

FLICKR8K_LENGTHS = (
    *(0, 0, 0, 15, 126, 346, 861, 1959, 2536, 2928, 3317, 3321, 3131, 2777, 2322, 1847, 1327),
    *(977, 662, 515, 366, 204, 136, 110, 74, 52, 33, 20, 11, 6, 10, 11),
)
"""How many of the 30,000 captions of those photos (Hodosh, Young & Hockenmaier 2013) have 0, 1, 2,
... words out: the caption's own by `unrolled.data.tokenize`, cut at 30, and ``<END>``."""


class Sizes(NamedTuple):
    """A model's: features D, word vectors W, recurrence H, vocabulary V."""

    D: int
    W: int
    H: int
    V: int


class Shape(NamedTuple):
    """A made case: N captions of up to T words out, of which a share is valid."""

    N: int
    T: int
    sizes: Sizes
    valid: float


ASSIGNMENT = Sizes(512, 256, 512, 1004)
CASES = {
    "a": Shape(25, 16, ASSIGNMENT, 0.70),
    "b": Shape(128, 16, ASSIGNMENT, 0.70),
    "c": Shape(128, 24, Sizes(1280, 512, 512, 8000), 0.55),
}
AROUND = CASES["b"]
"""What the plot varies, and what sizes of one's own are where they are not given."""

LARGEST = 1 << 28
"""Numbers of an array, which bounds the sizes that may be asked for: 1 GiB in float32. A step holds
several of them, some peers' and the reference's in float64."""

REAL = "d"
"""The case of Flickr8k's own minibatches."""

REAL_SIZES = Sizes(1280, 512, 512, FLICKR8K_WORDS)

ENDS = 4.0
"""Times the weights of END that are drawn, so that captions end, some soon and some late."""

DECIDED = 8.0
"""Times all drawn weights of the vocabulary layer: of words as good as equally likely, sums in
float32 and in float64 keep different ones, which would look like an error of either."""


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """What every setting is given to do.

    Attributes
    ----------
    part : str
        Of the benchmark: limit, step, memory, decode, epoch or plot.
    task : str
        What is done: product, step, decode or epoch.
    case : str
        Its name, for tables.
    cell : str
        ``"rnn"`` or ``"lstm"``.
    sizes : Sizes
    features : tuple of (N, D) float32
        A minibatch each; the rows to caption; or those that captions of an epoch are about.
    captions : tuple of (N, T + 1) int32
        A minibatch each.
    rows : (M,) int, optional
        For an epoch: the row of the features that each caption is about.
    at : tuple of int
        What else there is to say: a beam's width; a product's M, K and N; the place of a plot.
    """

    part: str
    task: str
    case: str
    cell: str
    sizes: Sizes
    features: tuple[Array, ...] = ()
    captions: tuple[Array, ...] = ()
    rows: Array | None = None
    at: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """Valid words out, of all minibatches."""
        return sum(int(np.count_nonzero(each[:, 1:] != NULL)) for each in self.captions)

    @property
    def flops(self) -> float:
        """What loss and gradients need: the forward's products on valid tokens, three times.

        A product's flops are two for each pair of numbers; each product of the forward pass has
        two of its size in the backward pass.
        """
        _, W, H, V = self.sizes
        gates = GATES[self.cell] * H
        multiplied = self.tokens * (W * gates + H * gates + H * V)
        multiplied += sum(len(each) for each in self.captions) * self.sizes.D * H
        return 6.0 * multiplied

    def model(self, precision: str = "float32", dtype: str = "float32") -> CaptioningRNN:
        """Make the model with the weights that all begin with.

        Parameters
        ----------
        precision : str
        dtype : str

        Returns
        -------
        CaptioningRNN
        """
        D, W, H, V = self.sizes
        words = {"<NULL>": NULL, "<START>": START, "<END>": END, "<UNK>": 3}
        words |= {str(i): i for i in range(FIRST_WORD, V)}
        model = CaptioningRNN(words, D, W, H, self.cell, dtype, seed=1, precision=precision)
        if self.task == "decode":
            model.params["W_vocab"] *= DECIDED
            model.params["W_vocab"][:, END] *= ENDS
        return model


def made_step(name: str, shape: Shape, cell: str) -> Work:
    """Make one minibatch: lengths spread evenly about the valid share, words at random.

    Parameters
    ----------
    name : str
    shape : Shape
    cell : str

    Returns
    -------
    Work
    """
    rng = np.random.default_rng(0)
    spread = shape.T * min(shape.valid, 1 - shape.valid)
    middle = shape.valid * shape.T
    lengths = np.rint(np.linspace(middle - spread, middle + spread, shape.N)).astype(int)
    lengths = rng.permutation(np.clip(lengths, 2, shape.T))
    captions = _captions(lengths, shape.T, shape.sizes.V, rng)
    features = _features(shape.N, shape.sizes.D, rng)
    return Work("step", "step", name, cell, shape.sizes, (features,), (captions,))


def shape_of(case: str) -> Shape:
    """Say what a made case is.

    Parameters
    ----------
    case : str
        Of `CASES`, or what is other than in `AROUND`: ``H=1024,V=5000,valid=0.9``. No caption is
        shorter than two words, whatever share is valid.

    Returns
    -------
    Shape

    Raises
    ------
    InputError
        If it is neither, or a size is too small or makes an array of more than `LARGEST` numbers.
    """
    if case in CASES:
        return CASES[case]
    sizes = {"N": AROUND.N, "T": AROUND.T, **AROUND.sizes._asdict()}
    try:
        parts = [part.split("=", 1) for part in case.split(",")]
        changed = {name.strip(): value for name, value in parts}
        if len(changed) < len(parts):
            raise ValueError
        N, T, D, W, H, V = (int(changed.pop(name, size)) for name, size in sizes.items())
        valid = float(changed.pop("valid", AROUND.valid))
        if changed:
            raise ValueError
    except ValueError:
        raise InputError(
            f"bench: case must be one of {', '.join((*CASES, REAL))}, or what is other than in b, "
            f"as N=64,H=1024 (whole {', '.join(sizes)}, and valid, once each); got {case}"
        ) from None
    if min(N, T - 1, D, W, H, V - FIRST_WORD) < 1:
        raise InputError(
            f"bench: {case}: T must be at least 2, V at least {FIRST_WORD + 1}, the others 1"
        )
    if not 0 < valid <= 1:
        raise InputError(f"bench: valid, the share of words, must be in (0, 1], got {valid}")
    gates = 4 * max(H, 16)  # kernels keep them by strips of 16 columns
    word = 64  # its place in the vocabulary takes as much
    if max(N * T * max(gates, W, V), max(N, H) * D, (W + H) * max(gates, V), word * V) > LARGEST:
        raise InputError(f"bench: {case} makes arrays of more than {LARGEST:,} numbers; take less")
    return Shape(N, T, Sizes(D, W, H, V), valid)


def has_own_sizes(case: str) -> bool:
    """Tell a case of sizes that were asked for from those that have a letter.

    Parameters
    ----------
    case : str

    Returns
    -------
    bool
    """
    return "=" in case


def flickr8k_captions(folder: Path | None) -> tuple[Array, int]:
    """Read the captions of Flickr8k's training photos, or draw as many of their lengths.

    Parameters
    ----------
    folder : Path or None
        The data set in its official layout.

    Returns
    -------
    captions : (M, T + 1) int32
    words : int
        V.
    """
    if folder is not None:
        photos = read_captions(folder).split("train")
        words = Vocabulary.build(
            (tokenize(c) for photo in photos for c in photo.captions), min_count=MIN_COUNT
        )
        captions, _, _ = encode_captions(photos, words, LONGEST)
        return captions, len(words)
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.repeat(np.arange(len(FLICKR8K_LENGTHS)), FLICKR8K_LENGTHS))
    return _captions(lengths, LONGEST + 1, FLICKR8K_WORDS, rng), FLICKR8K_WORDS


def flickr8k_steps(captions: Array, words: int, cell: str, batches: int = 4) -> Work:
    """Take minibatches of 128 captions, each as long as its longest.

    Parameters
    ----------
    captions : (M, T + 1) int32
    words : int
        V.
    cell : str
    batches : int

    Returns
    -------
    Work
    """
    rng = np.random.default_rng(0)
    sizes = REAL_SIZES._replace(V=words)
    chosen = np.split(rng.permutation(len(captions))[: batches * BATCH], batches)
    cut = tuple(_cut(captions[rows]) for rows in chosen)
    features = tuple(_features(BATCH, sizes.D, rng) for _ in chosen)
    return Work("step", "step", REAL, cell, sizes, features, cut)


def flickr8k_epoch(captions: Array, words: int, cell: str, share: float = 1.0) -> Work:
    """Take all training captions, five to a photo.

    Parameters
    ----------
    captions : (M, T + 1) int32
    words : int
        V.
    cell : str
    share : float
        Of the captions.

    Returns
    -------
    Work
    """
    rng = np.random.default_rng(0)
    captions = captions[: max(int(share * len(captions)), BATCH)]
    rows = np.arange(len(captions)) // 5
    sizes = REAL_SIZES._replace(V=words)
    features = _features(int(rows[-1]) + 1, sizes.D, rng)
    return Work("epoch", "epoch", "flickr8k", cell, sizes, (features,), (captions,), rows)


def decoding(width: int, count: int = 1000) -> Work:
    """Take feature rows for a plain LSTM: not negative, as an encoder's are.

    Parameters
    ----------
    width : int
        Of the beam; 1 is greedy.
    count : int

    Returns
    -------
    Work
    """
    drawn = np.random.default_rng(0).exponential(0.4, (count, REAL_SIZES.D))
    rows = drawn.astype(np.float32)
    name = "greedy" if width == 1 else f"beam {width}"
    return Work("decode", "decode", name, "lstm", REAL_SIZES, (rows,), at=(width,))


def product_shapes(work: Work) -> list[tuple[int, int, int]]:
    """List the matrix products of a step's forward pass, as (M, K, N).

    Parameters
    ----------
    work : Work

    Returns
    -------
    list of tuple of int
        The features', the words', the recurrence's over all tokens at once, the vocabulary's.
    """
    D, W, H, V = work.sizes
    gates = GATES[work.cell] * H
    tokens = work.tokens // max(len(work.captions), 1)
    shapes = [(len(work.captions[0]), D, H), (tokens, W, gates), (tokens, H, gates), (tokens, H, V)]
    return list(dict.fromkeys(shapes))


def find_flickr8k(folder: Path | None) -> Path | None:
    """Find Flickr8k: where it is said to be, or beside the working folder, or nowhere.

    Parameters
    ----------
    folder : Path or None

    Returns
    -------
    Path or None

    Raises
    ------
    InputError
        If it is said to be where it is not.
    """
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder; give Flickr8k's, or none")
        return folder
    beside = Path("..") / "shared" / "flickr8k"
    return beside if beside.is_dir() else None


def _captions(lengths: Array, T: int, V: int, rng: np.random.Generator) -> Array:
    """Draw captions with that many words out each."""
    captions = rng.integers(FIRST_WORD, V, (len(lengths), T + 1), dtype=np.int32)
    captions[:, 0] = START
    captions[np.arange(len(lengths)), lengths] = END
    captions[np.arange(T + 1) > lengths[:, None]] = NULL
    return captions


def _cut(captions: Array) -> Array:
    """Leave off the columns that are padding alone."""
    used = int((captions != NULL).any(axis=0).sum())
    return np.ascontiguousarray(captions[:, :used])


def _features(count: int, D: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((count, D)).astype(np.float32)
