"""Hold a torch forward's graph to our gradients: a model is trained through it."""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled import layers
from unrolled.check.cases import Case
from unrolled.check.compare import close
from unrolled.check.diagnoses import Diagnosis
from unrolled.check.spec import Spec


def graph_faults(spec: Spec, case: Case, answer: dict[str, Any]) -> Diagnosis | None:
    """Say which argument autograd cannot reach.

    Parameters
    ----------
    spec : Spec
        Of a forward or the loss.
    case : Case
    answer : dict
        As `unrolled.check.calls` gives it for ``autograd``.

    Returns
    -------
    Diagnosis or None
    """
    names = [name for name, axes in spec.args if "ids" not in axes and "mask" not in axes]
    if "error" in answer:
        error = answer["error"]
        said = f"{error['type']}: {error['message']}"
        return Diagnosis("graph-broken", {"what": names, "error": said})
    expected = _gradients(spec, case)
    lost = [
        name
        for name, came, right in zip(names, answer["outs"], expected, strict=True)
        if came is None or not close(came, right, loose=True)
    ]
    said = "no gradient, or a wrong one, comes out"
    return Diagnosis("graph-broken", {"what": lost, "error": said}) if lost else None


def _gradients(spec: Spec, case: Case) -> list[Any]:
    if spec.kind == "loss":
        x, y, mask = case.args
        return [layers.temporal_softmax_loss(x, y, mask).dx * case.upstream[0]]
    *_, cache = getattr(layers, spec.name)(*case.args)
    backward = getattr(layers, spec.name.replace("_forward", "_backward"))
    grads = backward(*case.upstream, cache)
    return list(grads) if isinstance(grads, tuple) else [np.asarray(grads)]
