"""What the student's process may answer: held to its form before a word of it is believed.

The code under check runs in the process that writes the answer, and can write what it likes. An
answer to a call is one of these, an *item* being an array, None or ``{"type": name}``:

=============  ==================================================================
any            ``absent``; ``error``, with ``forward_outs`` or without
forward        ``count``, ``outs`` (items), ``changed``, ``repeats``
backward       the same but ``repeats``, ``forward_outs``, ``upstream_changed``;
               or ``forward_error``
numeric        ``count``, ``outs`` (arrays)
autograd       ``count``, ``outs``, one for each float that went in
loss           ``count``, ``loss`` (item), ``grads`` (items by name, or None),
               ``changed``, ``params_changed``, and ``graph`` or not
sample         ``count``, ``outs``
=============  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MOST_OUTS = 8
"""Of what a function returns, so many things are looked at."""

LONGEST = 300
"""Characters of what is quoted of an error, or of a line."""


def check_answer(answer: Any, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Hold a whole answer to the calls that it is to.

    Parameters
    ----------
    answer : anything that `unrolled.check.wire.read` gives
    calls : list of dict
        As `unrolled.check.calls.run` takes them.

    Returns
    -------
    dict
        The answer.

    Raises
    ------
    ValueError
        If it is of another form; the message says where.
    """
    _hold(isinstance(answer, dict), "the answer")
    answers, failures = answer.get("answers"), answer.get("failures")
    _hold(isinstance(answers, list) and len(answers) <= len(calls), "answers")
    _hold(isinstance(failures, dict) and all(map(_is_error, failures.values())), "failures")
    for call, each in zip(calls, answers, strict=False):
        _hold(isinstance(each, dict), "an answer to a call")
        _check(call, each)
    return dict(answer)


def _hold(fine: bool, what: str) -> None:
    if not fine:
        raise ValueError(f"{what}: not of the form that our own code gives it")


def _check(call: dict[str, Any], answer: dict[str, Any]) -> None:
    if answer.get("absent") is True:
        return
    for key in ("error", "forward_error"):
        if key in answer:
            _hold(_is_error(answer[key]), key)
    if "forward_outs" in answer:
        _hold(_are_items(answer["forward_outs"]), "forward_outs")
    if "error" not in answer and "forward_error" not in answer:
        _FORMS[call["do"]](call, answer)


def _is_error(error: Any) -> bool:
    return (
        isinstance(error, dict)
        and all(_is_text(error.get(key)) for key in ("type", "message", "file", "text"))
        and (error.get("name") is None or _is_text(error["name"]))
        and type(error.get("line")) in (int, type(None))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _is_item(value: Any) -> bool:
    of_type = isinstance(value, dict) and _is_text(value.get("type"))
    return value is None or isinstance(value, np.ndarray) or of_type


def _are_items(values: Any) -> bool:
    return isinstance(values, list) and all(map(_is_item, values))


def _are_places(values: Any, count: int) -> bool:
    return isinstance(values, list) and all(type(k) is int and 0 <= k < count for k in values)


def _check_outs(answer: dict[str, Any]) -> None:
    count, outs = answer.get("count"), answer.get("outs")
    _hold(type(count) is int and count >= -1, "count")
    _hold(_are_items(outs), "outs")
    _hold(len(outs or ()) == (1 if count == -1 else min(count or 0, MOST_OUTS)), "outs")


def _forward(call: dict[str, Any], answer: dict[str, Any]) -> None:
    _check_outs(answer)
    _hold(_are_places(answer.get("changed"), len(call["args"])), "changed")
    _hold(isinstance(answer.get("repeats"), bool), "repeats")


def _backward(call: dict[str, Any], answer: dict[str, Any]) -> None:
    _check_outs(answer)
    _hold("forward_outs" in answer, "forward_outs")
    _hold(_are_places(answer.get("changed"), len(call["args"])), "changed")
    _hold(_are_places(answer.get("upstream_changed"), len(call["upstream"])), "upstream_changed")


def _autograd(call: dict[str, Any], answer: dict[str, Any]) -> None:
    outs = answer.get("outs")
    floats = sum(a.dtype.kind == "f" for a in call["args"])
    _hold(_are_items(outs) and len(outs or ()) == floats, "outs")


def _numeric(call: dict[str, Any], answer: dict[str, Any]) -> None:
    _autograd(call, answer)
    _hold(all(isinstance(out, np.ndarray) for out in answer["outs"]), "outs")


def _loss(call: dict[str, Any], answer: dict[str, Any]) -> None:
    _hold(type(answer.get("count")) is int and answer["count"] >= -1, "count")
    _hold("loss" in answer and _is_item(answer["loss"]), "loss")
    grads = answer.get("grads")
    _hold(grads is None or (isinstance(grads, dict) and _are_items([*grads.values()])), "grads")
    _hold(isinstance(answer.get("graph", ""), str), "graph")
    _hold(_are_places(answer.get("changed"), 2), "changed")
    changed = answer.get("params_changed")
    known = list(call["params"])  # a list: what is asked for may be nothing that can be hashed
    _hold(isinstance(changed, list) and all(name in known for name in changed), "params_changed")


def _sample(_: dict[str, Any], answer: dict[str, Any]) -> None:
    _check_outs(answer)


_FORMS: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "forward": _forward,
    "backward": _backward,
    "numeric": _numeric,
    "autograd": _autograd,
    "loss": _loss,
    "sample": _sample,
}
