"""One call of every public layer, so that a test can go over all of them.

A call holds the arguments by name; `run` makes the forward pass, draws upstream gradients and makes
the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from unrolled import layers


class Sizes(NamedTuple):
    """Sizes of a call, all different so that no axis can stand in for another."""

    N: int = 2
    T: int = 3
    D: int = 4
    H: int = 5
    M: int = 6
    V: int = 7
    L: int = 8
    K: int = 10
    Y: int = 3
    X: int = 9


class Call(NamedTuple):
    """A layer with arguments that fit.

    ``shapes`` gives the axes of each argument by letter; a letter that stands once is free.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    args: dict[str, Any]
    kwargs: dict[str, Any]
    shapes: dict[str, str]

    def with_arg(self, name: str, value: Any) -> Call:
        """Return the call with one argument replaced."""
        group = "args" if name in self.args else "kwargs"
        return self._replace(**{group: getattr(self, group) | {name: value}})

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Call:
        """Return the call with every array changed."""

        def changed(group: dict[str, Any]) -> dict[str, Any]:
            return {k: change(v) if isinstance(v, np.ndarray) else v for k, v in group.items()}

        return self._replace(args=changed(self.args), kwargs=changed(self.kwargs))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All array arguments by name."""
        both = self.args | self.kwargs
        return {name: a for name, a in both.items() if isinstance(a, np.ndarray)}

    @property
    def floats(self) -> dict[str, np.ndarray]:
        """The array arguments that are floating point."""
        return {name: a for name, a in self.arrays.items() if a.dtype.kind == "f"}

    def __call__(self) -> tuple[Any, ...]:
        """Make the forward pass."""
        out = self.forward(*self.args.values(), **self.kwargs)
        return out if isinstance(out, tuple) else (out,)


class Run(NamedTuple):
    """What came out of a call and its backward pass; gradients by the argument's name."""

    outs: list[Any]
    cache: Any
    douts: dict[str, np.ndarray]
    grads: dict[str, np.ndarray]


def run(call: Call, seed: int = 1, change: Callable[[np.ndarray], Any] = lambda a: a) -> Run:
    """Make the forward and the backward pass; ``change`` is done to each upstream gradient."""
    results = call()
    if call.backward is None:
        return Run(list(results), None, {}, {})
    *outs, cache = results
    douts = {name: change(d) for name, d in upstream(call, outs, seed).items()}
    return Run(outs, cache, douts, backward(call, cache, douts))


def upstream(call: Call, outs: list[Any], seed: int = 1) -> dict[str, np.ndarray]:
    """Draw an upstream gradient for each output, by the backward's argument names."""
    rng = np.random.default_rng(seed)
    names = list(call.backward.__code__.co_varnames[: len(outs)])
    wanted = dict(zip(names, outs, strict=True))
    if "c0" in call.kwargs:
        wanted["dfinal_c"] = call.kwargs["c0"]
    return {k: rng.standard_normal(a.shape).astype(a.dtype) for k, a in wanted.items()}


def backward(call: Call, cache: Any, douts: dict[str, Any]) -> dict[str, np.ndarray]:
    """Make the backward pass; return the gradients by the argument's name."""
    positional = [d for name, d in douts.items() if name != "dfinal_c"]
    keywords = {name: d for name, d in douts.items() if name == "dfinal_c"}
    grads = call.backward(*positional, cache, **keywords)
    grads = grads if isinstance(grads, tuple) else (grads,)
    if "c0" in call.kwargs:
        grads = (*grads, grads.dc0)
    return dict(zip(call.floats, grads, strict=True))


def arrays_in(value: Any) -> list[np.ndarray]:
    """All arrays and NumPy scalars in nested tuples, lists and dicts."""
    if isinstance(value, (np.ndarray, np.generic)):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [a for v in value for a in arrays_in(v)] if isinstance(value, (tuple, list)) else []


def _call(forward: str, backward: str | None, shapes: dict[str, str], **arguments: Any) -> Call:
    kwargs = {name: arguments.pop(name) for name in ("c0",) if name in arguments}
    return Call(
        getattr(layers, forward),
        getattr(layers, backward) if backward else None,
        arguments,
        kwargs,
        shapes,
    )


def make_call(name: str, dtype: Any = np.float64, size: Sizes | None = None, seed: int = 0) -> Call:
    """Return the named call, one of `CALLS`."""
    return CALLS[name](_Maker(np.dtype(dtype), size or Sizes(), np.random.default_rng(seed)))


class _Maker:
    """Draws arguments of the wanted sizes."""

    def __init__(self, dtype: np.dtype, size: Sizes, rng: np.random.Generator) -> None:
        self.dtype, self.size, self.rng = dtype, size, rng

    def floats(self, axes: str) -> np.ndarray:
        shape = tuple(int(a[:-1] or 1) * self._length(a[-1]) for a in axes.split())
        return self.rng.standard_normal(shape).astype(self.dtype)

    def ids(self, axes: str) -> np.ndarray:
        shape = tuple(self._length(a) for a in axes.split())
        return self.rng.integers(self.size.V, size=shape)

    def batch_sizes(self) -> tuple[int, ...]:
        """N sequences of lengths T, T - 1, ..., the last ones empty."""
        return tuple(max(min(self.size.N, self.size.T - t), 0) for t in range(self.size.T))

    def _length(self, axis: str) -> int:
        known = {"P": sum(self.batch_sizes()), "1": 1}
        return known[axis] if axis in known else getattr(self.size, axis)

    def call(self, forward: str, backward: str, shapes: dict[str, str], **more: Any) -> Call:
        arguments = {k: self.floats(axes) for k, axes in shapes.items()}
        return _call(forward, backward, shapes, **{**arguments, **more})

    def packed(self, kind: str, shapes: dict[str, str]) -> Call:
        sizes = self.batch_sizes()
        call = self.call(f"{kind}_forward", f"{kind}_backward", shapes, batch_sizes=sizes)
        call.shapes["batch_sizes"] = "P"
        return call

    def cell(self, kind: str, x: str, gates: str, *, c0: bool = False) -> Call:
        shapes = {"x": x, "h0": "N H", "Wx": f"D {gates}", "Wh": f"H {gates}", "b": gates}
        if "P" in x:
            call = self.packed(kind, shapes)
        else:
            call = self.call(f"{kind}_forward", f"{kind}_backward", shapes)
        if c0:
            call.shapes["c0"] = "N H"
            call.kwargs["c0"] = self.floats("N H")
        return call


_STEP = {"x": "N D", "prev_h": "N H"}
_WEIGHTS = {"Wx": "D H", "Wh": "H H", "b": "H"}
_ATTENDING = {"Wx": "D 4H", "Wh": "H 4H", "Wattn": "H 4H", "b": "4H"}
_GRU = {"Wx": "D 3H", "Wh": "H 3H", "b": "3H", "bn": "H"}
_ADDITIVE = {"Wa": "H K", "Ua": "H K", "wa": "K"}
_GATED = {"Wx": "D 4H", "Wh": "H 4H", "b": "4H"}

CALLS: dict[str, Callable[[_Maker], Call]] = {
    "affine": lambda m: m.call(
        "affine_forward", "affine_backward", {"x": "N D", "w": "D M", "b": "M"}
    ),
    "temporal_affine": lambda m: m.call(
        "temporal_affine_forward",
        "temporal_affine_backward",
        {"x": "N T D", "w": "D M", "b": "M"},
    ),
    "word_embedding": lambda m: _call(
        "word_embedding_forward",
        "word_embedding_backward",
        {"x": "N T", "W": "V D"},
        x=m.ids("N T"),
        W=m.floats("V D"),
    ),
    "dropout": lambda m: m.call(
        "dropout_forward",
        "dropout_backward",
        {"x": "N T D"},
        dropout_param={"mode": "train", "p": 0.6, "seed": 3},
    ),
    "dropout, test mode": lambda m: m.call(
        "dropout_forward",
        "dropout_backward",
        {"x": "N T D"},
        dropout_param={"mode": "test", "p": 0.6},
    ),
    "sigmoid": lambda m: m.call("sigmoid", None, {"x": "N D"}),
    "softmax_loss": lambda m: _call(
        "softmax_loss",
        None,
        {"x": "M V", "y": "M", "weights": "M"},
        x=m.floats("M V"),
        y=m.ids("M"),
        weights=m.floats("M"),
    ),
    "temporal_softmax_loss": lambda m: _call(
        "temporal_softmax_loss",
        None,
        {"x": "N T V", "y": "N T", "mask": "N T"},
        x=m.floats("N T V"),
        y=m.ids("N T"),
        mask=m.ids("N T") > 1,
    ),
    "rnn_step": lambda m: m.call("rnn_step_forward", "rnn_step_backward", _STEP | _WEIGHTS),
    "rnn": lambda m: m.cell("rnn", "N T D", "H"),
    "rnn_packed": lambda m: m.cell("rnn_packed", "P D", "H"),
    "lstm_step": lambda m: m.call(
        "lstm_step_forward", "lstm_step_backward", _STEP | {"prev_c": "N H"} | _GATED
    ),
    "layer_norm": lambda m: m.call(
        "layer_norm_forward", "layer_norm_backward", {"x": "N D", "g": "D", "b": "D"}
    ),
    "gru_step": lambda m: m.call("gru_step_forward", "gru_step_backward", _STEP | _GRU),
    "gru": lambda m: m.call("gru_forward", "gru_backward", {"x": "N T D", "h0": "N H"} | _GRU),
    "gru_packed": lambda m: m.packed("gru_packed", {"x": "P D", "h0": "N H"} | _GRU),
    "attention": lambda m: m.call(
        "attention_forward", "attention_backward", {"prev_h": "N H", "A": "N H Y X"}
    ),
    "additive_attention": lambda m: m.call(
        "additive_attention_forward",
        "additive_attention_backward",
        {"prev_h": "N H", "A": "N L H"} | _ADDITIVE,
    ),
    "attention_gate": lambda m: m.call(
        "attention_gate_forward",
        "attention_gate_backward",
        {"prev_h": "N H", "attn": "N M", "wbeta": "H", "bbeta": "1"},
    ),
    "additive_lstm_packed": lambda m: m.packed(
        "additive_lstm_packed", {"x": "P D", "A": "N L H"} | _ATTENDING | _ADDITIVE
    ),
    "doubly_stochastic": lambda m: _call(
        "doubly_stochastic_loss",
        None,
        {"alphas": "P L", "batch_sizes": "P"},
        alphas=m.floats("P L"),
        batch_sizes=m.batch_sizes(),
    ),
    "attention_lstm_step": lambda m: m.call(
        "attention_lstm_step_forward",
        "attention_lstm_step_backward",
        _STEP | {"prev_c": "N H", "attn": "N H"} | _ATTENDING,
    ),
    "attention_lstm": lambda m: m.call(
        "attention_lstm_forward",
        "attention_lstm_backward",
        {"x": "N T D", "A": "N H Y X"} | _ATTENDING,
    ),
    "attention_lstm_packed": lambda m: m.packed(
        "attention_lstm_packed", {"x": "P D", "A": "N L H"} | _ATTENDING
    ),
    "lstm": lambda m: m.cell("lstm", "N T D", "4H"),
    "lstm, c0": lambda m: m.cell("lstm", "N T D", "4H", c0=True),
    "lstm_packed": lambda m: m.cell("lstm_packed", "P D", "4H"),
    "lstm_packed, c0": lambda m: m.cell("lstm_packed", "P D", "4H", c0=True),
}
