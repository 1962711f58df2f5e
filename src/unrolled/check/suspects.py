"""Known mistakes, each as the numbers it gives: a mistake is told when a student's numbers are its.

A suspect is a code, the values that the diagnosis quotes, and a function of the case's arguments
(and upstream gradients) that gives what the mistake would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from unrolled.check import plain
from unrolled.layers.arrays import Array

Outs = tuple[Array, ...]


class Suspect(NamedTuple):
    """A mistake and its numbers."""

    code: str
    values: dict[str, Any]
    gives: Callable[..., Any]


def suspects_of(name: str) -> Iterator[Suspect]:
    """Give the mistakes that people make in a function, the likeliest first.

    Parameters
    ----------
    name : str

    Returns
    -------
    iterator of Suspect
    """
    return SUSPECTS.get(name, lambda: iter(()))()


def _outs(function: Callable[..., Any], **knobs: Any) -> Callable[..., Any]:
    """Leave the cache away."""
    return lambda args: function(*args, **knobs)[:-1]


def _grads(
    forward: Callable[..., Any], backward: Callable[..., Any], **knobs: Any
) -> Callable[..., Any]:
    def gives(args: list[Array], upstream: list[Array]) -> Any:
        came = backward(*upstream, forward(*args)[-1], **knobs)
        return came if isinstance(came, tuple) else (came,)

    return gives


def _rnn_step_knobs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    act = {"what": "next_h", "expected": "tanh"}
    yield "no-nonlinearity", act, {"act": plain.identity}
    yield "wrong-nonlinearity", {**act, "came": "sigmoid"}, {"act": plain.sigmoid}
    yield "wrong-nonlinearity", {**act, "came": "ReLU"}, {"act": plain.relu}
    yield "wrong-nonlinearity", {**act, "came": "sin"}, {"act": np.sin}
    yield "bias-ignored", {}, {"bias": 0}
    yield "bias-doubled", {}, {"bias": 2}
    yield "state-ignored", {"what": "prev_h"}, {"state": 0}
    yield "input-ignored", {}, {"inputs": 0}
    yield "weights-transposed", {"what": "Wh"}, {"transposed": True}


def _rnn_step_forward() -> Iterator[Suspect]:
    for code, values, knobs in _rnn_step_knobs():
        yield Suspect(code, values, _outs(plain.rnn_step_forward, **knobs))


def _rnn_forward() -> Iterator[Suspect]:
    forward = plain.rnn_forward
    yield Suspect("recurrence-lost", {}, _outs(forward, carried=False))
    yield Suspect("initial-state-ignored", {}, _zeroed(forward, 1))
    yield Suspect("time-reversed", {}, _outs(forward, order=-1))
    for code, values, knobs in _rnn_step_knobs():
        step = partial(plain.rnn_step_forward, **knobs)
        yield Suspect(code, values, _outs(forward, step=step))


def _zeroed(function: Callable[..., Any], place: int) -> Callable[..., Any]:
    """Call with one argument taken for zero."""

    def gives(args: list[Array]) -> Any:
        return function(*[a * 0 if k == place else a for k, a in enumerate(args)])[:-1]

    return gives


def _lstm_step_knobs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for order in permutations(plain.GATES):
        if "".join(order) != plain.GATES:
            yield "gate-order", {"order": ", ".join(order)}, {"order": "".join(order)}
    yield "bias-ignored", {}, {"bias": 0}
    yield "bias-doubled", {}, {"bias": 2}
    yield "state-ignored", {"what": "prev_h"}, {"state": 0}
    yield "input-ignored", {}, {"inputs": 0}
    tanh = {"what": "the cell state on its way to next_h", "expected": "tanh"}
    yield "no-nonlinearity", tanh, {"out": plain.identity}
    yield "wrong-nonlinearity", {**tanh, "came": "sigmoid"}, {"out": plain.sigmoid}
    right = (plain.sigmoid, plain.sigmoid, plain.sigmoid, np.tanh)
    for k, gate in enumerate(plain.GATES):
        expected = "tanh" if gate == "g" else "sigmoid"
        for act, came in ((plain.sigmoid, "sigmoid"), (np.tanh, "tanh"), (plain.identity, "")):
            acts = (*right[:k], act, *right[k + 1 :])
            values = {"what": f"the gate {gate}", "expected": expected, "came": came}
            if came != expected:
                code = "wrong-nonlinearity" if came else "no-nonlinearity"
                yield code, values, {"acts": acts}
    everything = {"what": "i, f, o, g", "expected": "sigmoid, tanh", "came": "sigmoid"}
    yield "wrong-nonlinearity", everything, {"acts": (plain.sigmoid,) * 4}
    yield "wrong-nonlinearity", {**everything, "came": "tanh"}, {"acts": (np.tanh,) * 4}
    mixes: dict[str, Callable[..., Any]] = {
        "prev_c + i * g": lambda i, _f, g, c: c + i * g,
        "i * prev_c + f * g": lambda i, f, g, c: i * c + f * g,
        "f * prev_c + g": lambda _i, f, g, c: f * c + g,
        "f * prev_c + i": lambda i, f, _g, c: f * c + i,
        "f * prev_c": lambda _i, f, _g, c: f * c,
        "f * prev_c + f * g": lambda _i, f, g, c: f * c + f * g,
        "f * prev_c + (1 - f) * g": lambda _i, f, g, c: f * c + (1 - f) * g,
    }
    yield "state-ignored", {"what": "prev_c"}, {"cell": lambda i, _f, g, _c: i * g}
    for came, cell in mixes.items():
        yield "gates-mixed", {"came": came}, {"cell": cell}


def _lstm_step_forward() -> Iterator[Suspect]:
    for code, values, knobs in _lstm_step_knobs():
        yield Suspect(code, values, _outs(plain.lstm_step_forward, **knobs))


def _lstm_forward() -> Iterator[Suspect]:
    forward = plain.lstm_forward
    yield Suspect("cell-state-initial", {"came": "h0"}, _outs(forward, c0="h0"))
    yield Suspect("cell-state-initial", {"came": "1"}, _outs(forward, c0="one"))
    yield Suspect("cell-state-lost", {}, _outs(forward, carried_c=False))
    yield Suspect("recurrence-lost", {}, _outs(forward, carried_h=False))
    yield Suspect("recurrence-lost", {}, _outs(forward, carried_h=False, carried_c=False))
    yield Suspect("initial-state-ignored", {}, _zeroed(forward, 1))
    for code, values, knobs in _lstm_step_knobs():
        yield Suspect(code, values, _outs(forward, step=partial(plain.lstm_step_forward, **knobs)))


def _temporal_affine_forward() -> Iterator[Suspect]:
    yield Suspect("bias-ignored", {}, _outs(plain.temporal_affine_forward, bias=0))
    yield Suspect("bias-doubled", {}, _outs(plain.temporal_affine_forward, bias=2))


def _rnn_step_slopes() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    yield "derivative-missing", {"what": "tanh"}, {"derivative": lambda _: 1.0}
    tanh = {"what": "tanh", "expected": "1 - next_h**2"}
    slopes: dict[str, Callable[[Array], Array]] = {
        "1 - tanh(next_h)**2": lambda h: 1 - np.tanh(h) ** 2,
        "1 - next_h": lambda h: 1 - h,
        "next_h * (1 - next_h)": lambda h: h * (1 - h),
        "1 + next_h**2": lambda h: 1 + h * h,
        "1 - next_h**2 twice": lambda h: (1 - h * h) ** 2,
        "next_h**2": lambda h: h * h,
        "a step (ReLU)": lambda h: (h > 0) * 1.0,
    }
    for came, slope in slopes.items():
        yield "wrong-state", {**tanh, "what": "tanh'", "came": came}, {"derivative": slope}
    yield "weights-transposed", {"what": "Wh"}, {"transposed": False}
    state = {"what": "dWh", "came": "next_h", "expected": "prev_h"}
    yield "wrong-state", state, {"own_state": True}


def _rnn_step_backward() -> Iterator[Suspect]:
    for code, values, knobs in _rnn_step_slopes():
        yield Suspect(
            code, values, _grads(plain.rnn_step_forward, plain.rnn_step_backward, **knobs)
        )


AFTER = "dh of the step after"


def _rnn_backward() -> Iterator[Suspect]:
    give = partial(_grads, plain.rnn_forward, plain.rnn_backward)
    yield Suspect("upstream-missing", {"what": f"{AFTER} (dprev_h)"}, give(through=0))
    yield Suspect("upstream-doubled", {"what": AFTER}, give(through=2))
    yield Suspect("upstream-doubled", {"what": "dh[:, t]"}, give(upstream=2))
    yield from _one_step_of("rnn")
    for code, values, knobs in _rnn_step_slopes():
        yield Suspect(code, values, give(step=partial(plain.rnn_step_backward, **knobs)))


def _lstm_step_slopes() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    missing, doubled = "upstream-missing", "upstream-doubled"
    yield missing, {"what": "dnext_c gets nothing through next_h"}, {"through_h": 0}
    yield missing, {"what": "dnext_c"}, {"upstream_c": 0}
    yield doubled, {"what": "dnext_c"}, {"upstream_c": 2}
    yield doubled, {"what": "dnext_h, on its way to the cell state"}, {"through_h": 2}
    names = {"i": "sigmoid, gate i", "f": "sigmoid, gate f", "o": "sigmoid, gate o"}
    names |= {"g": "tanh, gate g", "c": "tanh(next_c)"}
    for key, what in names.items():
        kept = "ifogc".replace(key, "")
        yield "derivative-missing", {"what": what}, {"derivatives": kept}
    yield "derivative-missing", {"what": "i, f, o, g"}, {"derivatives": "c"}
    yield "derivative-missing", {"what": "sigmoid"}, {"derivatives": "gc"}
    yield "wrong-state", {"what": "df", "came": "next_c", "expected": "prev_c"}, {"own_cell": True}
    yield (
        "wrong-state",
        {"what": "dWh", "came": "next_h", "expected": "prev_h"},
        {"own_state": True},
    )
    yield "wrong-state", {"what": "dprev_c", "came": "dc", "expected": "dc * f"}, {"forget": False}
    for order in permutations(plain.GATES):
        if "".join(order) != plain.GATES:
            yield "gate-order", {"order": ", ".join(order)}, {"order": "".join(order)}


def _lstm_step_backward() -> Iterator[Suspect]:
    give = partial(_grads, plain.lstm_step_forward, plain.lstm_step_backward)
    for code, values, knobs in _lstm_step_slopes():
        yield Suspect(code, values, give(**knobs))


def _lstm_backward() -> Iterator[Suspect]:
    give = partial(_grads, plain.lstm_forward, plain.lstm_backward)
    yield Suspect("upstream-missing", {"what": f"{AFTER} (dprev_h)"}, give(through_h=0))
    yield Suspect("upstream-missing", {"what": "dc of the step after (dprev_c)"}, give(through_c=0))
    both = {"what": f"{AFTER} and dc"}
    yield Suspect("upstream-missing", both, give(through_h=0, through_c=0))
    yield Suspect("upstream-doubled", {"what": AFTER}, give(through_h=2))
    yield Suspect("upstream-doubled", {"what": "dc of the step after"}, give(through_c=2))
    yield Suspect("upstream-doubled", {"what": "dh[:, t]"}, give(upstream=2))
    yield from _one_step_of("lstm")
    for code, values, knobs in _lstm_step_slopes():
        yield Suspect(code, values, give(step=partial(plain.lstm_step_backward, **knobs)))


def _one_step_of(cell: str) -> Iterator[Suspect]:
    """Weights' gradients overwritten at every step instead of summed."""
    forward = plain.FUNCTIONS[f"{cell}_forward"]
    backward = plain.FUNCTIONS[f"{cell}_backward"]
    step = plain.FUNCTIONS[f"{cell}_step_backward"]
    names = ("dWx", "dWh", "db")
    chosen = [names, *((n,) for n in names), ("dWx", "dWh"), ("dWx", "db"), ("dWh", "db")]
    for lost in chosen:
        for kept in (0, -1):
            gives = partial(_overwritten, forward, backward, step, lost, kept)
            yield Suspect("steps-lost", {"what": list(lost)}, gives)


def _overwritten(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    step: Callable[..., Any],
    lost: tuple[str, ...],
    kept: int,
    args: list[Array],
    upstream: list[Array],
) -> Outs:
    seen: list[Any] = []

    def watched(*given: Any) -> Any:
        seen.append(step(*given))
        return seen[-1]

    grads = dict(
        zip(
            ("dx", "dh0", "dWx", "dWh", "db"),
            backward(*upstream, forward(*args)[-1], step=watched),
            strict=True,
        )
    )
    one = dict(zip(("dWx", "dWh", "db"), seen[-1 if kept == 0 else 0][-3:], strict=True))
    return tuple((grads | {name: one[name] for name in lost}).values())


def _word_embedding_backward() -> Iterator[Suspect]:
    give = partial(_grads, plain.word_embedding_forward, plain.word_embedding_backward)
    yield Suspect("repeated-word-lost", {}, give(repeated="last"))
    yield Suspect("repeated-word-lost", {}, give(repeated="first"))


def _temporal_softmax_loss() -> Iterator[Suspect]:
    loss = plain.temporal_softmax_loss
    table: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("mask-ignored", {"where": ""}, {"masked": False, "dx_masked": False}),
        ("mask-ignored", {"where": " (dx)"}, {"dx_masked": False}),
        ("mask-ignored", {"where": " (loss)"}, {"masked": False}),
        ("divided-by-time", {}, {"by": plain.positions}),
        ("divided-by-time", {}, {"by": plain.positions, "dx_by": plain.batch}),
        ("divided-by-words", {}, {"by": plain.words}),
        ("divided-by-words", {}, {"by": plain.words, "dx_by": plain.batch}),
        ("not-averaged", {"what": ["loss", "dx"]}, {"by": plain.one}),
        ("not-averaged", {"what": "loss"}, {"by": plain.one, "dx_by": plain.batch}),
        ("not-averaged", {"what": "dx"}, {"dx_by": plain.one}),
        ("averaged-twice", {"what": "dx"}, {"dx_by": plain.batch_squared}),
        ("one-hot-missing", {}, {"one_hot": 0}),
    ]
    for code, values, knobs in table:
        yield Suspect(code, values, lambda args, knobs=knobs: loss(*args, **knobs))


SUSPECTS: dict[str, Callable[[], Iterator[Suspect]]] = {
    "rnn_step_forward": _rnn_step_forward,
    "rnn_step_backward": _rnn_step_backward,
    "rnn_forward": _rnn_forward,
    "rnn_backward": _rnn_backward,
    "lstm_step_forward": _lstm_step_forward,
    "lstm_step_backward": _lstm_step_backward,
    "lstm_forward": _lstm_forward,
    "lstm_backward": _lstm_backward,
    "word_embedding_backward": _word_embedding_backward,
    "temporal_affine_forward": _temporal_affine_forward,
    "temporal_softmax_loss": _temporal_softmax_loss,
}
