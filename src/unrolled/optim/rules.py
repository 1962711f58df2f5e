r"""The update rules: how one stretch of weights moves, given its gradient and what is remembered.

A rule is a frozen record of its constants. `unrolled.optim.update` walks over the parameters in
short stretches and calls `Rule.advance` on each; that method is the rule's whole mathematics, and
the one place to replace by a compiled kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.arrays import Array


@dataclass(frozen=True)
class Rule:
    """What every update rule has: a name, what it remembers per weight, and its step."""

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]]
    decoupled_decay: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Hold every constant to its range: eps above zero, all others in [0, 1)."""
        for field in fields(self):
            value = getattr(self, field.name)
            fits = value > 0 if field.name == "eps" else 0 <= value < 1
            if not (fits and math.isfinite(value)):
                wanted = "a finite number above 0" if field.name == "eps" else "in [0, 1)"
                raise InputError(f"{self.name}: {field.name} must be {wanted}, got {value!r}")

    def advance(
        self,
        param: Array,
        grad: Array,
        slots: tuple[Array, ...],
        spare: Array,
        *,
        step: int,
        learning_rate: float,
    ) -> None:
        """Move ``param`` and ``slots`` by one step, in place.

        Parameters
        ----------
        param, grad : (B,) arrays of one dtype
            A stretch of weights and its gradient, which is overwritten.
        slots : one (B,) array per name in ``slots``
        spare : (B,) array
            Room to calculate in.
        step : int
            Number of this step, counted from 1.
        learning_rate : float
        """
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Rule):
    r"""Stochastic gradient descent with momentum.

    .. math:: u \leftarrow \mu u + g, \qquad w \leftarrow w - \eta u

    References
    ----------
    Sutskever et al. (2013), "On the importance of initialization and momentum in deep learning",
    equations 1 and 2, with the learning rate taken out of the velocity as PyTorch does.
    """

    momentum: float = 0.9

    name: ClassVar[str] = "sgd"
    slots: ClassVar[tuple[str, ...]] = ("u",)

    def advance(
        self,
        param: Array,
        grad: Array,
        slots: tuple[Array, ...],
        spare: Array,
        *,
        step: int,  # noqa: ARG002 - the rule looks the same at every step
        learning_rate: float,
    ) -> None:
        """Move ``param`` and ``slots`` by one step, in place; see `Rule.advance`."""
        (u,) = slots
        u *= self.momentum
        u += grad
        np.multiply(u, learning_rate, out=spare)
        param -= spare


@dataclass(frozen=True)
class RMSProp(Rule):
    r"""Gradient divided by a running root mean square of itself.

    .. math:: v \leftarrow \alpha v + (1 - \alpha) g^2, \qquad
              w \leftarrow w - \eta \frac{g}{\sqrt v + \epsilon}

    References
    ----------
    Tieleman & Hinton (2012), Coursera lecture 6.5; epsilon as in PyTorch.
    """

    alpha: float = 0.99
    eps: float = 1e-8

    name: ClassVar[str] = "rmsprop"
    slots: ClassVar[tuple[str, ...]] = ("v",)

    def advance(
        self,
        param: Array,
        grad: Array,
        slots: tuple[Array, ...],
        spare: Array,
        *,
        step: int,  # noqa: ARG002 - the rule looks the same at every step
        learning_rate: float,
    ) -> None:
        """Move ``param`` and ``slots`` by one step, in place; see `Rule.advance`."""
        (v,) = slots
        _average_squares(v, grad, self.alpha, spare)
        np.sqrt(v, out=spare)
        spare += self.eps
        np.divide(grad, spare, out=spare)
        spare *= learning_rate
        param -= spare


@dataclass(frozen=True)
class Adam(Rule):
    r"""Momentum divided by a running root mean square, both corrected for their start at zero.

    .. math:: m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
              v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
              w &\leftarrow w - \eta \frac{m / (1 - \beta_1^t)}
                                        {\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    References
    ----------
    Kingma & Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    name: ClassVar[str] = "adam"
    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def advance(
        self,
        param: Array,
        grad: Array,
        slots: tuple[Array, ...],
        spare: Array,
        *,
        step: int,
        learning_rate: float,
    ) -> None:
        """Move ``param`` and ``slots`` by one step, in place; see `Rule.advance`."""
        m, v = slots
        _average_squares(v, grad, self.beta2, spare)
        grad *= 1 - self.beta1  # from here on grad only serves m
        m *= self.beta1
        m += grad
        np.sqrt(v, out=spare)
        spare /= math.sqrt(1 - self.beta2**step)
        spare += self.eps
        np.divide(m, spare, out=spare)
        spare *= learning_rate / (1 - self.beta1**step)
        param -= spare


@dataclass(frozen=True)
class AdamW(Adam):
    r"""Adam whose weight decay acts on the weights themselves, not through the gradient.

    .. math:: w \leftarrow (1 - \eta \lambda) w \quad \text{before the step of Adam}

    References
    ----------
    Loshchilov & Hutter (2019), "Decoupled weight decay regularization", algorithm 2, with the
    decay multiplied by the learning rate as PyTorch does.
    """

    name: ClassVar[str] = "adamw"
    decoupled_decay: ClassVar[bool] = True


RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (Adam, AdamW, SGD, RMSProp)}


def make_rule(name: str, **constants: float) -> Rule:
    """Make an update rule by name.

    Parameters
    ----------
    name : one of `RULES`: "adam", "adamw", "sgd", "rmsprop"
    **constants : float
        The rule's own constants (``beta1``, ``momentum``, ...); those left out keep their defaults.

    Returns
    -------
    Rule

    Raises
    ------
    InputError
        If there is no such rule, or it has no such constant, or a value is out of range.
    """
    if name not in RULES:
        raise InputError(f"no update rule {name!r}; choose one of {', '.join(RULES)}")
    known = [field.name for field in fields(RULES[name])]
    for constant in constants:
        if constant not in known:
            raise InputError(f"{name} has no constant {constant!r}; it has {', '.join(known)}")
    return RULES[name](**constants)


def _average_squares(v: Array, grad: Array, keep: float, spare: Array) -> None:
    """Move the running mean ``v`` towards the square of ``grad``, in place."""
    np.multiply(grad, grad, out=spare)
    spare *= 1 - keep
    v *= keep
    v += spare
