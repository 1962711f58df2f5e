"""The shapes and dtypes in a public layer's docstring are those of what it takes and gives.

Arguments are made from the Parameters section alone, each letter with a size of its own, and what
comes back is held to the Returns section. A shape that is written in a new way is an error here:
the reference may promise nothing that is not tried.
"""

from __future__ import annotations

import inspect
import re
import types
from typing import Any

import numpy as np
import pytest

from unrolled import layers

docscrape = pytest.importorskip(
    "numpydoc.docscrape", reason="numpydoc reads docstrings; it comes with the extra dev"
)

SIZES = {"N": 3, "T": 4, "D": 10, "H": 7, "V": 11, "M": 13, "L": 6, "K": 8, "P": 9, "Y": 2, "X": 12}
SIZES |= {"1": 1, "d_1": 2, "d_k": 5}  # of an item with several axes, D numbers in all
BATCH_SIZES = (3, 3, 2, 1)  # T steps of N sequences, P tokens
LENGTHS = (4, 2, 3)  # the same
COUNT = 5
OTHERS: dict[str, Any] = {
    '"float32" or "bfloat16"': "float32",
    "T ints": BATCH_SIZES,
    "bool": False,
    "float in [0, 1)": 0.0,
    "int": COUNT,
    "mapping": {"mode": "train", "p": 0.5, "seed": 0},
    "sequence of int": (),
}
FUNCTIONS = [n for n in layers.__all__ if inspect.isfunction(getattr(layers, n))]


def shape_of(text: str) -> tuple[int, ...]:
    """Read ``(N, 4 H)``."""
    shape = []
    for axis in filter(None, (a.strip() for a in text.split(","))):
        if axis == "...":
            continue
        factor, _, letter = axis.rpartition(" ")
        shape.append(int(factor or 1) * SIZES[letter])
    return tuple(shape)


def section(function: Any, name: str) -> list[tuple[str, str]]:
    described = docscrape.FunctionDoc(function)[name]
    return [(one, p.type) for p in described for one in p.name.split(", ")]


class Called:
    """A function called with what its docstring asks for."""

    def __init__(self, function: Any, dtype: type, *, optional: bool = False) -> None:
        self.rng, self.dtype, self.forward = np.random.default_rng(0), dtype, None
        self.given: dict[str, Any] = {}
        for name, text in section(function, "Parameters"):
            if optional or "optional" not in text:
                self.given[name] = self.make(text.removesuffix(", optional"))
        back = self.forward
        out = function(**self.given)
        self.outs = out if type(out) is tuple else (out,)
        self.arguments = {**(back.given if back else {}), **self.given}

    def make(self, text: str) -> Any:
        if text in OTHERS:
            return OTHERS[text]
        if found := re.match(r"(\w+Cache), from `(\w+)`$", text):
            self.forward = self.forward or Called(getattr(layers, found[2]), self.dtype)
            assert type(self.forward.outs[-1]).__name__ == found[1]
            return self.forward.outs[-1]
        if text.startswith("float array of any shape"):
            return self.floats((2, 5))
        if text == "array like the forward's output":
            return self.floats((2, 5))
        if text.startswith("array like x"):
            return np.empty((2, 5), self.dtype)
        if text == "(P,) int in [0, U)":  # rows of x, which is made with P of them
            return self.rng.integers(SIZES["P"], size=SIZES["P"])
        found = re.match(r"\(([^)]*)\)(?: (int|bool or number|float)|)(?:, .*)?$", text)
        assert found, f"a type that is not understood: {text}"
        shape = shape_of(found[1])
        if found[2] == "int":
            ids = self.rng.integers(SIZES["V"], size=shape)
            return np.array(LENGTHS) if text == "(N,) int" else ids
        if found[2] == "bool or number":
            return self.rng.random(shape) < 0.5
        return self.floats(shape)

    def floats(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(self.dtype)

    def hold(self, name: str, text: str, out: Any) -> None:
        """Hold what came back to what was promised."""
        if found := re.match(r"\(([^)]*)\), dtype of (\w+)$", text):
            self.hold_array(name, out, shape_of(found[1]), self.arguments[found[2]].dtype)
        elif found := re.match(r"array like (\w+)(?:, dtype of \w+)?$", text):
            like = self.arguments[found[1]]
            self.hold_array(name, out, like.shape, like.dtype)
        elif text == "scalar of x's dtype":
            self.hold_array(name, out, (), np.dtype(self.dtype))
        else:
            assert type(out).__name__ == text, f"{name} is a {type(out).__name__}, not a {text}"
            if not text.endswith("Cache"):
                self.hold_fields(out)

    def hold_fields(self, record: Any) -> None:
        """Hold gradients to the arguments that they are of, and other records to their words."""
        fields = dict(zip(record._fields, record, strict=True))
        fields |= vars(record) if hasattr(record, "__dict__") else {}  # dc0
        if isinstance(record, layers.Packing):
            described = {
                one: p.type
                for p in docscrape.ClassDoc(type(record))["Attributes"]
                for one in p.name.split(", ")
            }
            assert fields.pop("batch_sizes") == BATCH_SIZES
            for name, value in fields.items():
                assert value.shape == shape_of(described[name].partition(")")[0][1:])
                assert value.dtype.kind == "i"
            return
        for name, value in fields.items():
            if name in ("words", "log_p"):
                assert value.shape == (SIZES["P"], COUNT)
                continue
            like = self.arguments.get(name.removeprefix("d"))
            like = np.empty((SIZES["N"], SIZES["H"])) if name == "dc0" else like
            shape = () if name == "loss" else like.shape
            self.hold_array(name, value, shape, np.dtype(self.dtype))
        if self.forward:
            arrays = [n for n, a in self.forward.given.items() if isinstance(a, np.ndarray)]
            assert [f"d{n}" for n in arrays if n != "c0"] == list(record._fields)

    @staticmethod
    def hold_array(name: str, out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        assert np.shape(out) == shape, f"{name} is {np.shape(out)}, and said to be {shape}"
        assert out.dtype == dtype, f"{name} is {out.dtype}, and said to be {dtype}"


def hold_to_docstring(function: Any, dtype: type, *, optional: bool = False) -> None:
    called = Called(function, dtype, optional=optional)
    promised = section(function, "Returns")
    if len(promised) > 1 and len(called.outs) == 1:  # a record whose fields are named one by one
        called.outs = tuple(called.outs[0])
    for (name, text), out in zip(promised, called.outs, strict=True):
        called.hold(name, text, out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gives_what_its_docstring_says(name: str, dtype: type) -> None:
    hold_to_docstring(getattr(layers, name), dtype)
    hold_to_docstring(getattr(layers, name), dtype, optional=True)


def test_sizes_tell_letters_apart() -> None:
    letters = {k: v for k, v in SIZES.items() if k.isalpha()}
    assert len(set(letters.values())) == len(letters)
    assert (sum(BATCH_SIZES), len(BATCH_SIZES), max(BATCH_SIZES)) == (9, 4, 3)
    assert SIZES["d_1"] * SIZES["d_k"] == SIZES["D"]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("temporal_affine_forward", "out : (N, T, M)", "out : (N, M, T)"),
        ("rnn_forward", "h : (N, T, H)", "h : (N, H)"),
        ("lstm_forward", "Wx : (D, 4 H)", "Wx : (D, 3 H)"),
        ("word_embedding_forward", "dtype of W", "dtype of x"),
        ("rnn_step_backward", "RNNStepGrads", "LSTMStepGrads"),
        ("rnn_forward", "x : (N, T, D) float", "x : an array"),
    ],
)
def test_a_wrong_docstring_is_found(name: str, right: str, wrong: str) -> None:
    ours = getattr(layers, name)
    assert right in ours.__doc__
    told = types.FunctionType(ours.__code__, ours.__globals__, name, ours.__defaults__)
    told.__kwdefaults__ = ours.__kwdefaults__
    told.__doc__ = ours.__doc__.replace(right, wrong)
    with pytest.raises((AssertionError, layers.arrays.ShapeError)):
        hold_to_docstring(told, np.float32)
