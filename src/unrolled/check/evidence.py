"""What is known of a function or method before it is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from unrolled.check.cases import Case
from unrolled.check.spec import Spec

Answer = dict[str, Any]
ModelCase = dict[str, Any]
ARRAY = {"expected": "an array"}
"""What a wrong type is told beside."""


class Evidence(NamedTuple):
    """Everything that is known of one function."""

    spec: Spec
    profile: str
    cases: list[Case]
    answers: list[Answer]
    text: str
    megabytes: int
    numeric: Callable[[list[Case]], list[Answer]]

    def only(self, kept: list[bool]) -> Evidence:
        """Leave cases out."""
        rows = [r for r, k in zip(zip(*self[2:4], strict=True), kept, strict=True) if k]
        return self._replace(cases=[c for c, _ in rows], answers=[a for _, a in rows])


class ModelEvidence(NamedTuple):
    """Everything that is known of one method."""

    method: str
    profile: str
    cases: list[ModelCase]
    answers: list[Answer]
    text: str
    megabytes: int

    @property
    def name(self) -> str:
        """The method's full name."""
        return f"CaptioningRNN.{self.method}"


def outs_of(answer: Answer) -> list[Any]:
    """Give what a call returned; nothing where it did not return.

    Parameters
    ----------
    answer : dict

    Returns
    -------
    list of arrays, or of what came instead
    """
    return answer.get("outs") or []


def narrow(out: Any) -> bool:
    """Say whether something is a float32 array.

    Parameters
    ----------
    out : anything

    Returns
    -------
    bool
    """
    return isinstance(out, np.ndarray) and out.dtype == np.float32
