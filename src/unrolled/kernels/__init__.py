"""Compiled twins of what the layers' loops do, and the choice among them.

The NumPy text of `unrolled.layers` is the reference and the fallback; these functions take float32
arrays whose shapes the layers have checked, and run only where `compiled` gives a path. Those of
word ids take any, and say so where they leave them to the text.
"""

from unrolled.kernels.buffers import kept_buffers, release_buffers
from unrolled.kernels.choice import PATHS, Status, compiled, status
from unrolled.kernels.embedding import embedding_backward
from unrolled.kernels.packed import PackedMatrix, WordCell
from unrolled.kernels.products import product
from unrolled.kernels.recurrence import (
    LSTMStates,
    RNNStates,
    lstm_backward,
    lstm_forward,
    lstm_step,
    rnn_backward,
    rnn_forward,
    unstripped,
)
from unrolled.kernels.update import adam_step, sum_of_squares
from unrolled.kernels.vocabulary import CrossEntropy, cross_entropy, top_words
from unrolled.kernels.words import distinct, ids_within, pack_captions

__all__ = [
    "PATHS",
    "CrossEntropy",
    "LSTMStates",
    "PackedMatrix",
    "RNNStates",
    "Status",
    "WordCell",
    "adam_step",
    "compiled",
    "cross_entropy",
    "distinct",
    "embedding_backward",
    "ids_within",
    "kept_buffers",
    "lstm_backward",
    "lstm_forward",
    "lstm_step",
    "pack_captions",
    "product",
    "release_buffers",
    "rnn_backward",
    "rnn_forward",
    "status",
    "sum_of_squares",
    "top_words",
    "unstripped",
]
