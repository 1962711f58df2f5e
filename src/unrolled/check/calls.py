"""Call a student's functions and write down what they do; nothing is judged here.

This runs in the student's process. What it gives back are numbers, shapes and errors' texts.
"""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unrolled.check.answers import LONGEST, MOST_OUTS
from unrolled.check.wire import KINDS

Namespace = Mapping[str, Any]
MOST_OUTPUT = 1 << 20
"""Characters that a function may print before it counts as a print storm."""


class OutputStormError(BaseException):
    """Raised through the student's code when it has printed too much."""


class ForbiddenError(PermissionError):
    """Raised where the student's code tries what is refused."""


def run(namespace: Namespace, call: dict[str, Any], profile: str) -> dict[str, Any]:
    """Make one call.

    Parameters
    ----------
    namespace : mapping of str to callable
        The student's functions and class.
    call : dict
        ``do`` says what: forward, backward, numeric, loss or sample.
    profile : "numpy" or "torch"

    Returns
    -------
    dict
        What came, or ``error``.
    """
    do = {
        "forward": _forward,
        "backward": _backward,
        "numeric": _numeric,
        "autograd": _autograd,
        "loss": _loss,
        "sample": _sample,
    }[call["do"]]
    try:
        with np.errstate(all="ignore"):
            return do(namespace, call, TORCH if profile == "torch" else NUMPY)
    except BaseException as error:
        return {"error": described(error)}


class Dialect:
    """How arguments go in and results come out, in NumPy."""

    def give(self, array: Any) -> Any:
        """Make an argument."""
        return np.array(array)

    def take(self, value: Any) -> Any:
        """Make a plain array of a result, or say what it is instead."""
        if value is None:
            return None
        name = type(value).__name__[:LONGEST]
        try:
            array = np.asarray(value)
        except Exception:
            return {"type": name}
        if array.dtype.kind not in KINDS or (
            array.ndim == 0
            and not np.isscalar(value)
            and not isinstance(value, (np.ndarray, np.generic))
        ):
            return {"type": name}
        if type(array) is not np.ndarray:  # a matrix: its shape lies
            array = np.array(array)
        return array

    def same(self, given: Any, original: Any) -> bool:
        """Say whether an argument is still what it was."""
        return bool(given.shape == original.shape and given.tobytes() == original.tobytes())

    def dtype(self, name: str) -> Any:
        """Give a dtype by name."""
        return np.dtype(name).type


class TorchDialect(Dialect):
    """The same in torch."""

    def give(self, array: Any) -> Any:
        """Make a tensor."""
        import torch

        return torch.from_numpy(np.array(array))

    def take(self, value: Any) -> Any:
        """Make a plain array of a tensor."""
        import torch

        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            return value.numpy() if value.layout == torch.strided else {"type": "sparse tensor"}
        return super().take(value)

    def same(self, given: Any, original: Any) -> bool:
        """Say whether an argument is still what it was."""
        return super().same(given.detach().numpy(), original)

    def dtype(self, name: str) -> Any:
        """Give a dtype by name."""
        import torch

        return getattr(torch, name)


NUMPY, TORCH = Dialect(), TorchDialect()


def _taken(value: Any, dialect: Dialect) -> dict[str, Any]:
    """Take apart what a function returned: how many things, and each."""
    if isinstance(value, (tuple, list)):
        return {"count": len(value), "outs": [dialect.take(v) for v in list(value)[:MOST_OUTS]]}
    return {"count": -1, "outs": [dialect.take(value)]}


def _changed(dialect: Dialect, given: list[Any], originals: list[Any]) -> list[int]:
    pairs = enumerate(zip(given, originals, strict=True))
    return [k for k, (a, b) in pairs if not dialect.same(a, b)]


def _forward(names: Namespace, call: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    function = names[call["function"]]
    args = [dialect.give(a) for a in call["args"]]
    result = _taken(function(*args), dialect)
    result["changed"] = _changed(dialect, args, call["args"])
    again = _taken(function(*[dialect.give(a) for a in call["args"]]), dialect)
    result["repeats"] = _equal(result["outs"][: call["outs"]], again["outs"][: call["outs"]])
    return result


def _equal(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return False
    for x, y in zip(a, b, strict=True):
        if isinstance(x, np.ndarray) != isinstance(y, np.ndarray):
            return False
        if isinstance(x, np.ndarray):
            equal_nan = x.dtype.kind == "f"
            if x.shape != y.shape or not np.allclose(x, y, 1e-6, 1e-9, equal_nan=equal_nan):
                return False
    return True


def _backward(names: Namespace, call: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Feed the student's backward with the student's own cache."""
    args = [dialect.give(a) for a in call["args"]]
    try:
        came = names[call["forward"]](*args)
        if not isinstance(came, (tuple, list)) or len(came) < 2:
            raise TypeError("the forward returns no cache")
        outs = _taken(came[:-1], dialect)["outs"]
    except BaseException as error:
        return {"forward_error": described(error)}
    before = [np.array(a) for a in args]  # what the forward has changed is not the backward's doing
    upstream = [dialect.give(a) for a in call["upstream"]]
    try:
        result = _taken(names[call["function"]](*upstream, came[-1]), dialect)
    except BaseException as error:
        return {"error": described(error), "forward_outs": outs}
    result["forward_outs"] = outs
    result["changed"] = _changed(dialect, args, before)
    result["upstream_changed"] = _changed(dialect, upstream, call["upstream"])
    return result


def _numeric(names: Namespace, call: dict[str, Any], _: Dialect) -> dict[str, Any]:
    """Differentiate the student's own forward."""
    from unrolled.gradcheck import numeric_gradient

    args = [np.array(a) for a in call["args"]]
    upstream = call["upstream"]

    def weighed(_: Any) -> float:
        outs = names[call["function"]](*[a.copy() for a in args])
        return float(sum(np.sum(np.asarray(o) * d) for o, d in zip(outs, upstream, strict=False)))

    floats = [a for a in args if a.dtype == np.float64]
    return {"count": len(floats), "outs": [numeric_gradient(weighed, a) for a in floats]}


def _autograd(names: Namespace, call: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Ask autograd for the gradients through a torch forward."""
    args = [dialect.give(a) for a in call["args"]]
    floats = [a.requires_grad_() for a in args if a.is_floating_point()]
    came = names[call["function"]](*args)
    outs = came if isinstance(came, (tuple, list)) else (came,)
    upstream = [dialect.give(a) for a in call["upstream"]]
    total = sum((o * d).sum() for o, d in zip(outs, upstream, strict=False))
    total.backward()
    return {"count": len(floats), "outs": [dialect.take(a.grad) for a in floats]}


def _model(names: Namespace, call: dict[str, Any], dialect: Dialect, name: str) -> Any:
    sizes = call["sizes"]
    model = names["CaptioningRNN"](
        dict(call["words"]),
        input_dim=sizes["D"],
        wordvec_dim=sizes["W"],
        hidden_dim=sizes["H"],
        cell_type=call["cell"],
        dtype=dialect.dtype(name),
    )
    for key, value in call["params"].items():
        model.params[key] = dialect.give(value)
    return model


def _loss(names: Namespace, call: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    model = _model(names, call, dialect, call["features"].dtype.name)
    features, captions = dialect.give(call["features"]), dialect.give(call["captions"])
    if dialect is TORCH:
        for value in model.params.values():
            value.requires_grad_()
    came = model.loss(features, captions)
    result: dict[str, Any] = {"count": len(came) if isinstance(came, (tuple, list)) else -1}
    loss, grads = (came, None) if result["count"] < 1 else (came[0], came[1:] and came[1])
    if dialect is TORCH:
        grads = _torch_gradients(loss, model.params, result)
    result["loss"] = dialect.take(loss)
    result["grads"] = (
        {str(k): dialect.take(v) for k, v in list(grads.items())[:32]}
        if isinstance(grads, dict)
        else None
    )
    result["changed"] = _changed(
        dialect, [features, captions], [call["features"], call["captions"]]
    )
    result["params_changed"] = [
        k for k, v in call["params"].items() if not dialect.same(model.params[k], v)
    ]
    return result


def _torch_gradients(loss: Any, params: dict[str, Any], result: dict[str, Any]) -> Any:
    try:
        loss.backward()
    except Exception as error:
        result["graph"] = str(error)[:LONGEST]
        return None
    return {k: v.grad for k, v in params.items()}


def _sample(names: Namespace, call: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    model = _model(names, call, dialect, call["features"].dtype.name)
    captions = model.sample(dialect.give(call["features"]), max_length=call["max_length"])
    return _taken(captions, dialect)


STUDENTS: set[str] = set()
"""Files of modules that are checked in this process."""


def _is_students(filename: str) -> bool:
    return filename in STUDENTS or (
        filename.startswith("<") and filename.endswith((".py>", ".ipynb>"))
    )


def _name(error: BaseException) -> str | None:
    name = getattr(error, "name", None) if isinstance(error, NameError) else None
    return name[:LONGEST] if isinstance(name, str) else None


def described(error: BaseException) -> dict[str, Any]:
    """Say what was raised and where in the student's text.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    dict
        ``type``, ``message``, and ``line`` and ``text`` of the innermost line of the student's.
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_students(f.filename)]
    last = frames[-1] if frames else None
    mro: tuple[Callable[..., Any], ...] = type(error).__mro__
    kind = next(
        c.__name__
        for c in mro
        if c.__name__ in ("OutputStormError", "ForbiddenError")
        or getattr(builtins, c.__name__, None) is c
    )
    try:
        message = str(error)[:LONGEST]
    except Exception:
        message = ""
    return {
        "type": kind,
        "name": _name(error),
        "message": message,
        "file": last.filename[:LONGEST] if last else "",
        "line": last.lineno if last else None,
        "text": (last.line or "").strip()[:LONGEST] if last else "",
    }
