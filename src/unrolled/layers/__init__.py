"""The layers: a file each, a forward and a backward in each, as in the CS231n assignment.

A forward returns ``(out, cache)``; a backward takes ``(dout, cache)`` and returns the gradients in
the order of the forward's arguments. No argument is ever changed, and the dtype that goes in comes
out. Axes: N batch, T time, D input, H hidden, V vocabulary, P packed tokens.
"""

from unrolled.layers.additive import (
    additive_attention_backward,
    additive_attention_forward,
    additive_lstm_packed_backward,
    additive_lstm_packed_forward,
)
from unrolled.layers.affine import (
    affine_backward,
    affine_forward,
    temporal_affine_backward,
    temporal_affine_forward,
)
from unrolled.layers.attention import attention_backward, attention_forward, doubly_stochastic_loss
from unrolled.layers.attention_gate import attention_gate_backward, attention_gate_forward
from unrolled.layers.attention_lstm import (
    attention_lstm_backward,
    attention_lstm_forward,
    attention_lstm_packed_backward,
    attention_lstm_packed_forward,
    attention_lstm_step_backward,
    attention_lstm_step_forward,
)
from unrolled.layers.dropout import dropout_backward, dropout_forward
from unrolled.layers.embedding import word_embedding_backward, word_embedding_forward
from unrolled.layers.gru import (
    gru_backward,
    gru_forward,
    gru_packed_backward,
    gru_packed_forward,
    gru_step_backward,
    gru_step_forward,
)
from unrolled.layers.layer_norm import layer_norm_backward, layer_norm_forward
from unrolled.layers.lstm import (
    lstm_backward,
    lstm_forward,
    lstm_packed_backward,
    lstm_packed_forward,
    lstm_step_backward,
    lstm_step_forward,
)
from unrolled.layers.packing import Packing, pack_lengths
from unrolled.layers.rnn import (
    rnn_backward,
    rnn_forward,
    rnn_packed_backward,
    rnn_packed_forward,
    rnn_step_backward,
    rnn_step_forward,
)
from unrolled.layers.sigmoid import sigmoid
from unrolled.layers.softmax import softmax_loss, temporal_softmax_loss
from unrolled.layers.vocabulary import best_words, vocabulary_loss

__all__ = [
    "Packing",
    "additive_attention_backward",
    "additive_attention_forward",
    "additive_lstm_packed_backward",
    "additive_lstm_packed_forward",
    "affine_backward",
    "affine_forward",
    "attention_backward",
    "attention_forward",
    "attention_gate_backward",
    "attention_gate_forward",
    "attention_lstm_backward",
    "attention_lstm_forward",
    "attention_lstm_packed_backward",
    "attention_lstm_packed_forward",
    "attention_lstm_step_backward",
    "attention_lstm_step_forward",
    "best_words",
    "doubly_stochastic_loss",
    "dropout_backward",
    "dropout_forward",
    "gru_backward",
    "gru_forward",
    "gru_packed_backward",
    "gru_packed_forward",
    "gru_step_backward",
    "gru_step_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "lstm_backward",
    "lstm_forward",
    "lstm_packed_backward",
    "lstm_packed_forward",
    "lstm_step_backward",
    "lstm_step_forward",
    "pack_lengths",
    "rnn_backward",
    "rnn_forward",
    "rnn_packed_backward",
    "rnn_packed_forward",
    "rnn_step_backward",
    "rnn_step_forward",
    "sigmoid",
    "softmax_loss",
    "temporal_affine_backward",
    "temporal_affine_forward",
    "temporal_softmax_loss",
    "vocabulary_loss",
    "word_embedding_backward",
    "word_embedding_forward",
]
