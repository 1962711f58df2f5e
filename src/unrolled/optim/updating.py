r"""One training step over all parameters: norm, clipping, weight decay, update rule.

This is the one place in Unrolled that changes arrays in place, as its name and docstring say:
weights and what the rule remembers are the largest arrays there are, and a second copy of them
would be the largest use of memory there is.
"""

from __future__ import annotations

import math

import numpy as np

from unrolled import kernels
from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.layers.arrays import Array
from unrolled.layers.product import runs_compiled
from unrolled.optim.rules import Adam, Rule

# Weights are handled in stretches that stay in a core's cache: each is read from memory once per
# step, and the room to calculate in stays small whatever the size of the model.
_STRETCH = 16384


def init_state(params: dict[str, Array], rule: Rule) -> dict[str, Array]:
    """Make what a rule remembers before its first step: zeros, and a step count of zero.

    Parameters
    ----------
    params : dict of float arrays
    rule : Rule

    Returns
    -------
    dict of arrays
        Flat, so that it goes into a safetensors file: ``"adam.step"`` () int64, and for every
        parameter ``"adam.m.Wx"``, ``"adam.v.Wx"``, ... of its shape and dtype.
    """
    state: dict[str, Array] = {f"{rule.name}.step": np.zeros((), dtype=np.int64)}
    for name, param in params.items():
        for slot in rule.slots:
            state[f"{rule.name}.{slot}.{name}"] = np.zeros(param.shape, dtype=param.dtype)
    return state


def global_norm(grads: dict[str, Array]) -> float:
    r"""Euclidean length of all gradients taken as one vector, :math:`\sqrt{\sum g^2}`.

    Summed in float64 and in a fixed order, whatever the dtype and the number of threads.

    Parameters
    ----------
    grads : dict of float arrays

    Returns
    -------
    float

    Raises
    ------
    InputError
        If a gradient is not finite; the message names it and the first element.

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks",
    algorithm 1.
    """
    total = 0.0
    for name, grad in grads.items():
        squares = _sum_of_squares(grad.reshape(-1))
        if not math.isfinite(squares):
            raise InputError(_say_where(name, grad))
        total += squares
    return math.sqrt(total)


def _sum_of_squares(flat: Array) -> float:
    if runs_compiled(flat):
        return kernels.sum_of_squares(np.ascontiguousarray(flat))
    total, room = 0.0, np.empty(min(_STRETCH, flat.size))
    for start in range(0, flat.size, _STRETCH):
        stretch = flat[start : start + _STRETCH]
        squares = room[: stretch.size]
        with np.errstate(over="ignore", invalid="ignore"):
            np.multiply(stretch, stretch, out=squares, dtype=np.float64)
            total += float(squares.sum())
    return total


def update(
    params: dict[str, Array],
    grads: dict[str, Array],
    state: dict[str, Array],
    rule: Rule,
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
) -> float:
    r"""Take one training step: ``params`` and ``state`` are changed **in place**.

    Gradients longer than ``clip_norm`` together are scaled to that length. Weight decay
    :math:`\lambda` acts on matrices only, never on biases (arrays of one axis): as
    :math:`w \leftarrow (1 - \eta\lambda) w` for AdamW, as :math:`g \leftarrow g + \lambda w` for
    the other rules. Everything is checked before anything is changed, so that an error leaves
    weights and state as they were. ``grads`` are never changed.

    Parameters
    ----------
    params : dict of C-contiguous, writable float32 or float64 arrays
    grads : dict of arrays with the keys, shapes and dtypes of params
    state : dict of arrays, from `init_state` with the same rule
    rule : Rule
    learning_rate : float, see `learning_rate` for schedules
    weight_decay : float
    clip_norm : float or None
        Longest gradient that is taken as it is; None never clips.

    Returns
    -------
    float
        The gradients' norm before clipping.

    Raises
    ------
    ShapeError, DTypeError
        If a gradient or a remembered array does not match its parameter.
    InputError
        If keys are missing or left over, a number is out of range, a parameter cannot be changed
        in place, or a gradient is not finite or so large that its square is not.
    """
    _check_numbers(learning_rate, weight_decay, clip_norm)
    _check_arrays(params, grads, state, rule)
    norm = global_norm(grads)
    scale = clip_norm / norm if clip_norm is not None and norm > clip_norm else 1.0
    _check_range(grads, norm * scale)
    count = state[f"{rule.name}.step"]
    count += 1
    for name, param in params.items():
        slots = tuple(state[f"{rule.name}.{slot}.{name}"].reshape(-1) for slot in rule.slots)
        decay = weight_decay if param.ndim > 1 else 0.0
        _update_one(
            param.reshape(-1),
            grads[name].reshape(-1),
            slots,
            rule,
            step=int(count),
            learning_rate=learning_rate,
            decay=decay,
            scale=scale,
        )
    return norm


def _update_one(
    param: Array,
    grad: Array,
    slots: tuple[Array, ...],
    rule: Rule,
    *,
    step: int,
    learning_rate: float,
    decay: float,
    scale: float,
) -> None:
    """Walk over one flat parameter in stretches; compiled, Adam's is one pass."""
    decoupled = rule.decoupled_decay
    if isinstance(rule, Adam) and runs_compiled(param):
        kernels.adam_step(
            param,
            np.ascontiguousarray(grad),
            *slots,
            beta1=rule.beta1,
            beta2=rule.beta2,
            eps=rule.eps,
            step=step,
            learning_rate=learning_rate,
            scale=scale,
            decay=0.0 if decoupled else decay,
            shrink=1 - learning_rate * decay if decoupled else 1.0,
        )
        return
    room = np.empty((2, min(_STRETCH, param.size)), dtype=param.dtype)
    for start in range(0, param.size, _STRETCH):
        here = slice(start, start + _STRETCH)
        weights = param[here]
        scaled, spare = room[:, : weights.size]
        np.multiply(grad[here], scale, out=scaled)
        if decay and decoupled:
            weights *= 1 - learning_rate * decay
        elif decay:
            np.multiply(weights, decay, out=spare)
            scaled += spare
        remembered = tuple(slot[here] for slot in slots)
        rule.advance(weights, scaled, remembered, spare, step=step, learning_rate=learning_rate)


def _check_numbers(learning_rate: float, weight_decay: float, clip_norm: float | None) -> None:
    """Hold the numbers to what makes sense."""
    for name, value in (("learning_rate", learning_rate), ("weight_decay", weight_decay)):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"update: {name} must be finite and at least 0, got {value!r}")
    if clip_norm is not None and not clip_norm > 0:
        raise InputError(
            f"update: clip_norm must be above 0, got {clip_norm!r}; None does not clip"
        )


def _check_arrays(
    params: dict[str, Array], grads: dict[str, Array], state: dict[str, Array], rule: Rule
) -> None:
    """Hold gradients and state to the parameters' keys, shapes and dtypes."""
    expected = {f"{rule.name}.{slot}.{name}": name for slot in rule.slots for name in params}
    for what, have, want in (
        ("grads", set(grads), set(params)),
        ("state", set(state), {*expected, f"{rule.name}.step"}),
    ):
        if have != want:
            raise InputError(
                f"update: {what} must have the keys of params: missing "
                f"{sorted(want - have) or 'none'}, left over {sorted(have - want) or 'none'}"
                + ("; state comes from init_state with the same rule" if what == "state" else "")
            )
    for name, param in params.items():
        if param.dtype not in (np.float32, np.float64):
            raise DTypeError(f"update: {name} must be float32 or float64, got {param.dtype}")
        _check_in_place(name, param)
    count = state[f"{rule.name}.step"]
    if count.shape != () or count.dtype != np.int64:
        raise DTypeError(
            f"update: state {rule.name}.step must be () int64, got {count.shape} {count.dtype}"
        )
    _check_in_place(f"{rule.name}.step", count)
    arrays = [(f"the gradient of {name}", name, grad) for name, grad in grads.items()]
    for key, name in expected.items():
        _check_in_place(key, state[key])
        arrays.append((f"state {key}", name, state[key]))
    for what, name, array in arrays:
        if array.shape != params[name].shape:
            raise ShapeError(f"update: {what} must be {params[name].shape}, got {array.shape}")
        if array.dtype != params[name].dtype:
            raise DTypeError(f"update: {what} must be {params[name].dtype}, got {array.dtype}")


def _check_in_place(name: str, array: Array) -> None:
    """Refuse an array of which there is no flat view: the loop would change a copy of it."""
    if not (array.flags.c_contiguous and array.flags.writeable):
        raise InputError(
            f"update: {name} must be writable and C-contiguous to be changed in place; "
            f"take np.array({name}, order='C')"
        )


def _check_range(grads: dict[str, Array], norm: float) -> None:
    """Refuse a gradient whose square overflows: the rules would divide by infinity in silence."""
    largest = min((float(np.finfo(grad.dtype).max) for grad in grads.values()), default=math.inf)
    if norm > math.sqrt(largest):
        raise InputError(
            f"update: the gradients' norm is {norm:.3g}, and its square overflows; nothing was "
            "changed. Training has diverged: lower the learning rate, or set clip_norm"
        )


def _say_where(name: str, grad: Array) -> str:
    """Name the first element of a gradient that is not finite, and say what to do."""
    bad = np.argwhere(~np.isfinite(grad))
    if not len(bad):
        return f"update: the square of the gradient of {name} overflows float64; lower the rate"
    first = tuple(int(i) for i in bad[0])
    return (
        f"update: the gradient of {name} holds {len(bad)} of {grad.size} numbers that are not "
        f"finite, the first at {first}: {grad[first]}; nothing was changed. Training has "
        "diverged: lower the learning rate, or set clip_norm"
    )
