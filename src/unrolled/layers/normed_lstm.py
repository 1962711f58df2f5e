r"""What tells the LSTM with layer normalisation from others: what c shows is normalised.

.. math:: c_t = f c_{t-1} + i g \qquad h_t = o \tanh N(c_t; g_c, b_c)

c goes on before its norm, so that what it keeps is multiplied by forget gates only (Ba et al. 2016,
equations 20-22). The norms of the products are those of every cell; see `unrolled.layers.composed`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unrolled.layers.arrays import Array
from unrolled.layers.core import Core, CoreBack, CoreStep
from unrolled.layers.layer_norm import LayerNormCache, layer_norm_backward, layer_norm_forward
from unrolled.layers.lstm import _gates_backward, _next_c, _split


def _forward(
    gates: Array, recurrent: Array, prev: Sequence[Array], gc: Array, bc: Array
) -> tuple[tuple[Array, Array], tuple[Array, LayerNormCache]]:
    gates += recurrent
    next_c = _next_c(gates, prev[1])
    shown, norm = layer_norm_forward(next_c, gc, bc)
    tanh_c = np.tanh(shown)
    return (_split(gates)[2] * tanh_c, next_c), (tanh_c, norm)


def _backward(dstate: Sequence[Array], step: CoreStep, *_weights: Array) -> CoreBack:
    dnext_h, dnext_c = dstate
    gates, (_, prev_c), _, (tanh_c, norm_of_c) = step
    da = np.empty_like(gates)
    dshown = dnext_h * _split(gates)[2] * (1 - tanh_c * tanh_c)
    through_h, dgc, dbc = layer_norm_backward(dshown, norm_of_c)
    dprev_c = _gates_backward(dnext_h, dnext_c + through_h, gates, prev_c, tanh_c, da)
    return CoreBack(da, da, (0.0, dprev_c), (dgc, dbc))


CORE = Core(4, 2, _forward, _backward, lambda H: {"gc": (H,), "bc": (H,)})
"""The LSTM's, with the norm of c."""
