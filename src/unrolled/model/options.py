"""What a model can be built with, held together long before one is built."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.cells import CELLS

MOST_LAYERS = 100
"""More layers than that nobody stacks: a stranger's file may not make us count them."""


def check_options(
    where: str,
    *,
    cell_type: str,
    wordvec_dim: int,
    hidden_dim: int,
    num_layers: int,
    dropout: float,
    feature_dropout: float,
    attention_penalty: float,
    attention_gate: bool,
    layer_norm: bool,
    forget_bias: float,
    tie_weights: bool,
) -> None:
    """Hold options to what there is, and to each other; `CaptioningRNN` says what they mean.

    Parameters
    ----------
    where : str
        Who asks, for the message.
    cell_type : str
    wordvec_dim, hidden_dim, num_layers : int
    dropout, feature_dropout, attention_penalty : float
    attention_gate, layer_norm : bool
    forget_bias : float
    tie_weights : bool

    Raises
    ------
    InputError
        If one cannot be, or two cannot be together.
    """
    sizes = {"wordvec_dim": wordvec_dim, "hidden_dim": hidden_dim, "num_layers": num_layers}
    for name, size in sizes.items():
        check_count(where, name, size, least=1)
    if num_layers > MOST_LAYERS:
        raise InputError(f"{where}: num_layers must be at most {MOST_LAYERS}, got {num_layers}")
    if cell_type not in tuple(CELLS):
        raise InputError(f"{where}: cell_type must be one of {', '.join(CELLS)}, got {cell_type!r}")
    for name, rate in {"dropout": dropout, "feature_dropout": feature_dropout}.items():
        if not (_is_number(rate) and 0 <= rate < 1):
            raise InputError(f"{where}: {name} must be a number in [0, 1), got {rate!r}")
    if not (_is_number(attention_penalty) and attention_penalty >= 0):
        raise InputError(
            f"{where}: attention_penalty must be a number of at least 0, got {attention_penalty!r}"
        )
    if not _is_number(forget_bias):
        raise InputError(f"{where}: forget_bias must be a number, got {forget_bias!r}")
    flags = {"attention_gate": attention_gate, "layer_norm": layer_norm, "tie_weights": tie_weights}
    for name, flag in flags.items():
        if type(flag) is not bool:
            raise InputError(f"{where}: {name} must be true or false, got {flag!r}")
    cell = CELLS[cell_type]
    for name, wanted in {
        "attention_penalty": attention_penalty,
        "attention_gate": attention_gate,
    }.items():
        if wanted and not cell.attends:
            raise InputError(f"{where}: a {cell_type} attends to nothing; leave out {name}")
    if forget_bias and not cell.forgets:
        raise InputError(f"{where}: a {cell_type} has no forget gate; leave out forget_bias")
    if tie_weights and wordvec_dim != hidden_dim:
        raise InputError(
            f"{where}: tie_weights needs wordvec_dim equal to hidden_dim, "
            f"got {wordvec_dim} and {hidden_dim}"
        )


def check_count(where: str, name: str, value: object, *, least: int) -> None:
    """Hold a value to being a whole number.

    Parameters
    ----------
    where, name : str
        Who asks for what, for the message.
    value : object
    least : int

    Raises
    ------
    InputError
        If it is none, or is below least.
    """
    if not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{where}: {name} must be an integer, {least} or more, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)
