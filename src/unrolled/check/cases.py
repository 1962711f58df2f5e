"""The cases that a function is held to: the assignment's numbers, and what those do not show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.check.spec import Spec
from unrolled.layers.arrays import Array

SEED = 231
ASSIGNMENT: dict[str, dict[str, int]] = {
    "rnn_step": {"N": 3, "D": 10, "H": 4},
    "rnn": {"N": 2, "T": 3, "D": 4, "H": 5},
    "lstm_step": {"N": 3, "D": 4, "H": 5},
    "lstm": {"N": 2, "D": 5, "H": 4, "T": 3},
    "word_embedding": {"N": 2, "T": 4, "V": 5, "D": 3},
    "temporal_affine": {"N": 2, "T": 3, "D": 4, "M": 5},
    "temporal_softmax_loss": {"N": 7, "T": 8, "V": 9},
}
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "rnn_step": {"x": (-0.4, 0.7), "prev_h": (-0.2, 0.5), "Wx": (-0.1, 0.9), "Wh": (-0.3, 0.7)}
    | {"b": (-0.2, 0.4)},
    "rnn": {"x": (-0.1, 0.3), "h0": (-0.3, 0.1), "Wx": (-0.2, 0.4), "Wh": (-0.4, 0.1)}
    | {"b": (-0.7, 0.1)},
    "lstm_step": {"x": (-0.4, 1.2), "prev_h": (-0.3, 0.7), "prev_c": (-0.4, 0.9)}
    | {"Wx": (-2.1, 1.3), "Wh": (-0.7, 2.2), "b": (0.3, 0.7)},
    "lstm": {"x": (-0.4, 0.6), "h0": (-0.4, 0.8), "Wx": (-0.2, 0.9), "Wh": (-0.3, 0.6)}
    | {"b": (0.2, 0.7)},
    "word_embedding": {"W": (0, 1)},
}
CHANGED = {"N": 5, "T": 6, "D": 7, "H": 8, "V": 11, "M": 9}  # one at a time, all unlike the above
DISTINCT = {"N": 4, "T": 7, "D": 5, "H": 3, "V": 10, "M": 6}
LARGE = 2000.0


class Case(NamedTuple):
    """One call's arguments; ``ordinary`` are those that a formula's mistake shows in."""

    label: str
    sizes: dict[str, int]
    args: list[Array]
    upstream: list[Array]
    ordinary: bool = True


def stem_of(name: str) -> str:
    """Take ``_forward`` and ``_backward`` off.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    return name.removesuffix("_forward").removesuffix("_backward")


def cases_of(spec: Spec, forward: Spec) -> list[Case]:
    """Make a function's cases.

    Parameters
    ----------
    spec : Spec
    forward : Spec
        The same, or a backward's forward, whose arguments it takes.

    Returns
    -------
    list of Case
    """
    rng = np.random.default_rng(SEED)
    stem = stem_of(spec.name)
    first = ASSIGNMENT[stem]
    cases = [_case("assignment's numbers", first, forward, rng, RANGES.get(stem, {}))]
    cases += [_case("random", DISTINCT, forward, rng)]
    for letter in first:
        cases.append(_case("other sizes", first | {letter: CHANGED[letter]}, forward, rng))
    for letter in ("N", "T"):
        if letter in first:
            cases.append(_case(f"{letter} = 1", DISTINCT | {letter: 1}, forward, rng))
    large = _case("large values", DISTINCT, forward, rng)
    grown = _shifted if forward.kind == "loss" else _grown
    cases.append(large._replace(args=[grown(a) for a in large.args], ordinary=False))
    single = _case("float32", DISTINCT, forward, rng)
    cases.append(
        single._replace(
            args=[_single(a) for a in single.args],
            upstream=[_single(a) for a in single.upstream],
            ordinary=False,
        )
    )
    return cases


def _case(
    label: str,
    sizes: dict[str, int],
    forward: Spec,
    rng: np.random.Generator,
    ranges: dict[str, tuple[float, float]] | None = None,
) -> Case:
    args = [_argument(name, axes, sizes, rng, (ranges or {})) for name, axes in forward.args]
    upstream = [rng.standard_normal(shape_of(axes, sizes)) for _, axes in forward.outs]
    return Case(label, {k: sizes[k] for k in sorted(forward.letters)}, args, upstream)


def _argument(
    name: str,
    axes: str,
    sizes: dict[str, int],
    rng: np.random.Generator,
    ranges: dict[str, tuple[float, float]],
) -> Array:
    shape = shape_of(axes, sizes)
    if "ids" in axes:
        return rng.integers(sizes["V"], size=shape)
    if "mask" in axes:
        lengths = rng.integers(1, shape[1] + 1, size=(shape[0], 1))
        mask: Array = (np.arange(shape[1]) < lengths) & (rng.random(shape) < 0.85)
        mask[:, 0] = True
        return mask
    if name in ranges:
        return np.linspace(*ranges[name], num=int(np.prod(shape))).reshape(shape)
    return rng.standard_normal(shape) * 0.7


def shape_of(axes: str, sizes: dict[str, int]) -> tuple[int, ...]:
    """Put numbers for letters.

    Parameters
    ----------
    axes : str
        As in `Spec`.
    sizes : dict of str to int

    Returns
    -------
    tuple of int
    """
    words = (word for word in axes.split() if word not in ("ids", "mask"))
    return tuple(int(word[:-1] or 1) * sizes[word[-1]] for word in words)


def _grown(a: Array) -> Array:
    return a * LARGE if a.dtype.kind == "f" else a


def _shifted(a: Array) -> Array:
    """Give scores whose exponential overflows, and whose softmax does not underflow."""
    return a * 20 + 1000 if a.dtype.kind == "f" else a


def _single(a: Array) -> Array:
    return a.astype(np.float32) if a.dtype.kind == "f" else a


def model_cases() -> list[dict[str, Any]]:
    """Make the cases of ``CaptioningRNN.loss``: plain values, for both cells.

    Returns
    -------
    list of dict
    """
    rng = np.random.default_rng(SEED)
    words = {"cat": 0, "<NULL>": 4, "<START>": 2, "<END>": 6, "dog": 1, "runs": 3, "on": 5}
    cases = [_assignment_model(cell) for cell in ("rnn", "lstm")]
    for cell in ("rnn", "lstm"):
        for N, T, label in ((3, 6, "ragged mask"), (1, 4, "N = 1"), (2, 1, "T = 1")):
            sizes = {"D": 5, "W": 4, "H": 3}
            captions = rng.integers(0, 7, size=(N, T + 1))
            captions[captions == 4] = 3
            for n, length in enumerate(rng.integers(1, T + 1, size=N)):
                captions[n, length + 1 :] = 4
            cases.append(
                {
                    "label": label,
                    "cell": cell,
                    "words": words,
                    "sizes": sizes,
                    "params": model_params(rng, cell, len(words), **sizes),
                    "features": rng.standard_normal((N, 5)),
                    "captions": captions,
                }
            )
    single = dict(cases[2], label="float32")
    single["params"] = {k: _single(v) for k, v in single["params"].items()}
    single["features"] = _single(single["features"])
    lstm_single = dict(cases[5], label="float32")
    lstm_single["params"] = {k: _single(v) for k, v in lstm_single["params"].items()}
    lstm_single["features"] = _single(lstm_single["features"])
    return [*cases, single, lstm_single]


def model_params(
    rng: np.random.Generator, cell: str, V: int, *, D: int, W: int, H: int, scale: float = 0.7
) -> dict[str, Array]:
    """Draw a model's parameters.

    Parameters
    ----------
    rng : numpy.random.Generator
    cell : "rnn" or "lstm"
    V, D, W, H : int
    scale : float

    Returns
    -------
    dict of str to array
    """
    G = H * (4 if cell == "lstm" else 1)
    shapes = {"W_embed": (V, W), "W_proj": (D, H), "b_proj": (H,), "Wx": (W, G), "Wh": (H, G)}
    shapes |= {"b": (G,), "W_vocab": (H, V), "b_vocab": (V,)}
    return {name: rng.standard_normal(shape) * scale for name, shape in shapes.items()}


def _assignment_model(cell: str) -> dict[str, Any]:
    N, D, W, H, V, T = 10, 20, 30, 40, 3, 13
    rng = np.random.default_rng(SEED)
    shapes = {k: v.shape for k, v in model_params(rng, cell, V, D=D, W=W, H=H).items()}
    span = (-0.5, 1.7) if cell == "lstm" else (-1.5, 0.3)
    return {
        "label": "assignment's numbers",
        "cell": cell,
        "words": {"<NULL>": 0, "cat": 2, "dog": 3},
        "sizes": {"D": D, "W": W, "H": H},
        "params": {
            k: np.linspace(-1.4, 1.3, num=int(np.prod(s))).reshape(s) for k, s in shapes.items()
        },
        "features": np.linspace(*span, num=N * D).reshape(N, D),
        "captions": (np.arange(N * T) % V).reshape(N, T),
    }


def sample_cases() -> list[dict[str, Any]]:
    """Make the cases of ``CaptioningRNN.sample``: weights large enough that words change.

    Returns
    -------
    list of dict
    """
    rng = np.random.default_rng(SEED)
    first = {"<NULL>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3}
    first |= {f"word{k}": k for k in range(4, 12)}
    second = {"<NULL>": 5, "<START>": 9, "<END>": 7} | {
        f"word{k}": k for k in range(12) if k not in (5, 7, 9)
    }
    cases = []
    for words in (first, second):
        for cell in ("rnn", "lstm"):
            for N, length in ((4, 9), (1, 5)):
                sizes = {"D": 5, "W": 4, "H": 6}
                params = model_params(rng, cell, 12, **sizes, scale=1.5)
                params["b_vocab"][[words["<NULL>"], words["<END>"]]] = -100.0
                cases.append(
                    {
                        "label": "random" if N > 1 else "N = 1",
                        "cell": cell,
                        "words": words,
                        "sizes": sizes,
                        "params": params,
                        "features": rng.standard_normal((N, 5)) * 2,
                        "max_length": length,
                    }
                )
    return cases
