"""Compiled twins of what the layers' loops do, and the choice among them.

The NumPy text of `unrolled.layers` is the reference and the fallback; these functions take float32
arrays whose shapes the layers have checked, and run only where `compiled` gives a path.
"""

from unrolled.kernels.choice import PATHS, Status, compiled, status
from unrolled.kernels.products import product
from unrolled.kernels.recurrence import (
    lstm_loop_backward,
    lstm_loop_forward,
    rnn_loop_backward,
    rnn_loop_forward,
)
from unrolled.kernels.vocabulary import CrossEntropy, cross_entropy

__all__ = [
    "PATHS",
    "CrossEntropy",
    "Status",
    "compiled",
    "cross_entropy",
    "lstm_loop_backward",
    "lstm_loop_forward",
    "product",
    "rnn_loop_backward",
    "rnn_loop_forward",
    "status",
]
