"""The captioning model: an image's features start a recurrence that says the caption.

::

    features ── W_proj ──► h0        <START> a  dog        words in
                            │           │    │   │   W_embed
                            └────────► [cell ─► cell ─► cell]   Wx, Wh, b
                                        │    │   │   W_vocab
                                        a   dog <END>       words out
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.layers import (
    affine_backward,
    affine_forward,
    dropout_backward,
    dropout_forward,
    pack_lengths,
    vocabulary_loss,
    word_embedding_backward,
    word_embedding_forward,
)
from unrolled.layers.arrays import Array, check_floats, check_ids, check_shapes
from unrolled.layers.cells import CELLS, State
from unrolled.layers.precision import choose_precision


class LossAndGrads(NamedTuple):
    """A loss in nats per caption, and the gradient of every parameter."""

    loss: np.floating
    grads: dict[str, Array]


class CaptioningRNN:
    """A recurrent captioning model as the assignment has it, with parameters in a plain dict.

    Parameters
    ----------
    word_to_idx : mapping of str to int
        The vocabulary, V words. ``<NULL>`` pads captions; `sample` needs ``<START>``, ``<END>``.
    input_dim : int
        D, the width of the image features.
    wordvec_dim : int
        W, the width of the word vectors.
    hidden_dim : int
        H, the width of the recurrence.
    cell_type : str
        ``"rnn"`` or ``"lstm"``.
    dtype : dtype
        float32, or float64 for gradient checks.
    seed : int, optional
        Of the initial weights; fresh ones every time unless given.
    dropout : float
        Probability to drop a number of the word vectors and of the hidden states on their way to
        the vocabulary, while training (Zaremba et al. 2014). 0 as in the assignment.
    forget_bias : float
        Initial bias of the LSTM's forget gate (Jozefowicz et al. 2015 advise 1). 0 as in the
        assignment.
    tie_weights : bool
        Use the word vectors as the vocabulary layer's weights, W_vocab = W_embed^T (Press & Wolf
        2017); wordvec_dim must then equal hidden_dim. False as in the assignment.
    precision : str
        Of the numbers that training multiplies: ``"float32"``, or ``"bfloat16"`` with sums and
        weights in float32, which is faster where the CPU has units for it (Kalamkar et al. 2019);
        ``"auto"`` is resolved here to bfloat16 where the CPU has and the model gains, else to
        float32. Captions are always said in float32.

    Attributes
    ----------
    params : dict of str to array
        W_proj (D, H), b_proj (H,), W_embed (V, W), Wx (W, G), Wh (H, G), b (G,), W_vocab (H, V),
        b_vocab (V,), where G is H for the RNN and 4 H for the LSTM.

    Raises
    ------
    InputError
        If an argument cannot be right.

    References
    ----------
    Karpathy & Fei-Fei (2015), section 3.2; Vinyals et al. (2015), section 3.1. Initial values as in
    the assignment: W_embed from N(0, 0.01^2), other weights from N(0, 1/fan-in), biases zero.
    """

    def __init__(
        self,
        word_to_idx: Mapping[str, int],
        input_dim: int = 512,
        wordvec_dim: int = 128,
        hidden_dim: int = 128,
        cell_type: str = "rnn",
        dtype: DTypeLike = np.float32,
        *,
        seed: int | None = None,
        dropout: float = 0.0,
        forget_bias: float = 0.0,
        tie_weights: bool = False,
        precision: str = "float32",
    ) -> None:
        sizes = {"input_dim": input_dim, "wordvec_dim": wordvec_dim, "hidden_dim": hidden_dim}
        for name, size in sizes.items():
            _check_count("CaptioningRNN", name, size, least=1)
        if cell_type not in tuple(CELLS):
            raise InputError(
                f"CaptioningRNN: cell_type must be one of {', '.join(CELLS)}, got {cell_type!r}"
            )
        if not 0 <= dropout < 1:
            raise InputError(f"CaptioningRNN: dropout must be in [0, 1), got {dropout}")
        if forget_bias and cell_type != "lstm":
            raise InputError(f"CaptioningRNN: a {cell_type} has no forget gate to bias")
        if tie_weights and wordvec_dim != hidden_dim:
            raise InputError(
                "CaptioningRNN: tie_weights needs wordvec_dim equal to hidden_dim, "
                f"got {wordvec_dim} and {hidden_dim}"
            )
        self.word_to_idx = dict(word_to_idx)
        self.idx_to_word = {i: word for word, i in self.word_to_idx.items()}
        if len(self.idx_to_word) < len(self.word_to_idx):
            raise InputError("CaptioningRNN: two words of word_to_idx have the same id")
        self.cell_type = cell_type
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "f":
            raise DTypeError(f"CaptioningRNN: dtype must be floating point, got {self.dtype}")
        self.dropout = dropout
        self.tie_weights = tie_weights
        self.precision = choose_precision("CaptioningRNN", precision, hidden_dim)
        self._null = self._word_id("<NULL>")
        self._cell = CELLS[cell_type]
        self.params = self._initial_params(input_dim, wordvec_dim, hidden_dim, forget_bias, seed)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments but for the vocabulary, seed and initial bias, for JSON."""
        D, H = self.params["W_proj"].shape
        return {
            "input_dim": D,
            "wordvec_dim": self.params["W_embed"].shape[1],
            "hidden_dim": H,
            "cell_type": self.cell_type,
            "dtype": self.dtype.name,
            "dropout": self.dropout,
            "tie_weights": self.tie_weights,
            "precision": self.precision,
        }

    def loss(
        self,
        features: Array,
        captions: Array,
        *,
        rng: np.random.Generator | None = None,
        weights: Array | None = None,
        label_smoothing: float = 0.0,
        words_in: Array | None = None,
    ) -> LossAndGrads:
        r"""Training loss of the captions given the images, and all its gradients.

        Words in are ``captions[:, :-1]``, words out ``captions[:, 1:]``; a word out that is
        ``<NULL>`` does not count. Nothing is computed after the last word of a caption that does.

        .. math:: L = -\frac{1}{N} \sum_{n,t} w_{nt} \log p_{nt, y_{nt}}

        Parameters
        ----------
        features : (N, D), the model's dtype
        captions : (N, T + 1) int
            ``<START> words <END>``, padded with ``<NULL>``.
        rng : numpy.random.Generator, optional
            Draws the dropout masks; without it nothing is dropped.
        weights : (N, T) number, optional
            What each word out counts, of either sign: an advantage makes the gradient that of a
            policy (Williams 1992). 1 unless given, and 0 for ``<NULL>``.
        label_smoothing : float in [0, 1)
            Share of each word's target that is spread over the vocabulary; the loss is that of the
            smoothed targets. See `unrolled.layers.vocabulary_loss`.
        words_in : (N, T) int, optional
            What is fed instead of ``captions[:, :-1]``, as scheduled sampling does.

        Returns
        -------
        loss : scalar of the model's dtype
            Nats, summed over the words of a caption and averaged over the N captions.
        grads : dict of str to array
            The keys and shapes of `params`.

        Raises
        ------
        ShapeError
            If N or D do not match.
        DTypeError
            If the features are of another dtype, or the captions hold no integers.
        InputError
            If a word id lies outside the vocabulary.
        """
        N = self._check_batch(features, captions)
        params = self.params
        words_out = captions[:, 1:]
        if weights is None:
            weights = words_out != self._null
        counts = _check_weights(weights, words_out)
        lengths = np.where(counts, np.arange(1, counts.shape[1] + 1), 0).max(axis=1, initial=0)
        order, batch_sizes, sequence, step = pack_lengths(lengths)
        counted = counts[sequence, step]

        precision = self.precision
        h0, proj_cache = affine_forward(
            features[order], params["W_proj"], params["b_proj"], precision=precision
        )
        fed = captions if words_in is None else _check_words_in(words_in, words_out)
        x, embed_cache = word_embedding_forward(fed[sequence, step], params["W_embed"])
        x, drop_x = self._drop(x, rng)
        h, cell_cache = self._cell.forward(
            x, h0, params["Wx"], params["Wh"], params["b"], batch_sizes, precision=precision
        )
        h_out, drop_h = self._drop(h[counted], rng)
        y = words_out[sequence, step][counted]
        row_weights = weights[sequence, step][counted].astype(self.dtype)
        row_weights /= self.dtype.type(max(N, 1))
        loss, dh_out, dW_vocab, db_vocab = vocabulary_loss(
            h_out,
            self._vocab_weights(),
            params["b_vocab"],
            y,
            row_weights,
            smoothing=label_smoothing,
            precision=precision,
        )

        dh = np.zeros_like(h)
        dh[counted] = dropout_backward(dh_out, drop_h) if drop_h else dh_out
        dx, dh0, dWx, dWh, db = self._cell.backward(dh, cell_cache)
        dx = dropout_backward(dx, drop_x) if drop_x else dx
        dW_embed = word_embedding_backward(dx, embed_cache)
        _, dW_proj, db_proj = affine_backward(dh0, proj_cache)
        grads = {"W_proj": dW_proj, "b_proj": db_proj, "W_embed": dW_embed}
        grads |= {"Wx": dWx, "Wh": dWh, "b": db}
        if self.tie_weights:
            grads["W_embed"] += dW_vocab.T  # the one matrix serves twice and learns from both
        else:
            grads["W_vocab"] = dW_vocab
        grads["b_vocab"] = db_vocab
        return LossAndGrads(loss, grads)

    def start(self, features: Array) -> State:
        """Start a caption for each image.

        Parameters
        ----------
        features : (N, D), the model's dtype

        Returns
        -------
        state : tuple of (N, H) arrays, the hidden state first

        Raises
        ------
        ShapeError, DTypeError
            If the features do not fit the model.
        """
        self._check_features(features)
        h0, _ = affine_forward(features, self.params["W_proj"], self.params["b_proj"])
        return self._cell.start(h0)

    def step(self, words: Array, state: State) -> tuple[Array, State]:
        """Read one word of each caption and score the next.

        Parameters
        ----------
        words : (N,) int
        state : tuple of (N, H) arrays, from `start` or `step`

        Returns
        -------
        scores : (N, V), the model's dtype
            Logits of the next word.
        state : tuple of (N, H) arrays

        Raises
        ------
        InputError
            If a word id lies outside the vocabulary.
        """
        params = self.params
        x, _ = word_embedding_forward(words, params["W_embed"])
        state = self._cell.step(x, state, params["Wx"], params["Wh"], params["b"])
        scores, _ = affine_forward(state[0], self._vocab_weights(), params["b_vocab"])
        return scores, state

    def sample(self, features: Array, max_length: int = 30) -> Array:
        """Caption images greedily: the likeliest word at every step.

        Parameters
        ----------
        features : (N, D), the model's dtype
        max_length : int
            Words at most, ``<END>`` included.

        Returns
        -------
        captions : (N, max_length) int32
            The first word said first, without ``<START>``; ``<NULL>`` after ``<END>``.

        Raises
        ------
        InputError
            If the vocabulary has no ``<START>`` or no ``<END>``, or max_length is negative.
        ShapeError, DTypeError
            If the features do not fit the model.
        """
        _check_count("CaptioningRNN.sample", "max_length", max_length, least=0)
        start, end = self._word_id("<START>"), self._word_id("<END>")
        state = self.start(features)
        captions = np.full((len(features), max_length), self._null, dtype=np.int32)
        words = np.full(len(features), start)
        speaking = np.ones(len(features), dtype=bool)
        for t in range(max_length):
            if not speaking.any():
                break
            scores, state = self.step(words, state)
            words = scores.argmax(axis=1)
            captions[speaking, t] = words[speaking]
            speaking &= words != end
        return captions

    def _vocab_weights(self) -> Array:
        tied: Array = self.params["W_embed"].T
        return tied if self.tie_weights else self.params["W_vocab"]

    def _drop(self, x: Array, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Drop numbers of x while training; the layer's p is the probability to keep."""
        if rng is None or self.dropout == 0:
            return x, None
        return dropout_forward(x, {"mode": "train", "p": 1 - self.dropout, "rng": rng})

    def _initial_params(
        self, D: int, W: int, H: int, forget_bias: float, seed: int | None
    ) -> dict[str, Array]:
        rng = np.random.default_rng(seed)
        V, G = len(self.word_to_idx), self._cell.gates * H

        def weights(fan_in: int, fan_out: int) -> Array:
            values: Array = rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)
            return values.astype(self.dtype)

        params = {
            "W_proj": weights(D, H),
            "b_proj": np.zeros(H, self.dtype),
            "W_embed": (rng.standard_normal((V, W)) / 100).astype(self.dtype),
            "Wx": weights(W, G),
            "Wh": weights(H, G),
            "b": np.zeros(G, self.dtype),
        }
        params["b"][H : 2 * H] = forget_bias
        if not self.tie_weights:
            params["W_vocab"] = weights(H, V)
        return params | {"b_vocab": np.zeros(V, self.dtype)}

    def _word_id(self, word: str) -> int:
        if word not in self.word_to_idx:
            raise InputError(f"CaptioningRNN: the vocabulary needs the word {word}, and has it not")
        return self.word_to_idx[word]

    def _check_features(self, features: Array) -> None:
        D = self.params["W_proj"].shape[0]
        check_shapes("CaptioningRNN", features=(features, "N D"))
        if features.shape[1] != D:
            raise ShapeError(
                f"CaptioningRNN: features must be (N, {D}) for this model, got {features.shape}; "
                "were they made by another encoder?"
            )
        check_floats("CaptioningRNN", model=self.params["W_proj"], features=features)

    def _check_batch(self, features: Array, captions: Array) -> int:
        self._check_features(features)
        size = check_shapes(
            "CaptioningRNN.loss", features=(features, "N D"), captions=(captions, "N T")
        )
        if size["T"] < 2:
            raise ShapeError(
                "CaptioningRNN.loss: captions must be (N, T + 1) with at least a word in and a "
                f"word out, got {captions.shape}"
            )
        V = self.params["W_embed"].shape[0]
        check_ids("CaptioningRNN.loss", captions, V, name="captions")
        return size["N"]


def _check_weights(weights: Array, words_out: Array) -> Array:
    """Say which words out count."""
    if weights.shape != words_out.shape:
        raise ShapeError(
            f"CaptioningRNN.loss: weights must be {words_out.shape}, a number for each word out, "
            f"got {weights.shape}"
        )
    if weights.dtype.kind not in "biuf":
        raise DTypeError(f"CaptioningRNN.loss: weights must be numbers, got {weights.dtype}")
    counts: Array = weights != 0
    return counts


def _check_words_in(words_in: Array, words_out: Array) -> Array:
    if words_in.shape != words_out.shape:
        raise ShapeError(
            f"CaptioningRNN.loss: words_in must be {words_out.shape}, a word for each word out, "
            f"got {words_in.shape}"
        )
    return words_in


def _check_count(where: str, name: str, value: object, *, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{where}: {name} must be an integer, {least} or more, got {value!r}")
