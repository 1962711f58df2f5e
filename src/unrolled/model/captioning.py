"""The captioning model: an image's features start a recurrence that says the caption.

::

    features ── W_proj ──► h0        <START> a  dog        words in
                            │           │    │   │   W_embed
                            └────────► [cell ─► cell ─► cell]   Wx, Wh, b
                                        │    │   │   W_vocab
                                        a   dog <END>       words out
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.kernels import kept_buffers
from unrolled.layers import (
    affine_forward,
    best_words,
    doubly_stochastic_loss,
    dropout_backward,
    dropout_forward,
    vocabulary_loss,
    word_embedding_backward,
    word_embedding_forward,
)
from unrolled.layers.arrays import Array, check_array, check_floats, check_ids, check_shapes
from unrolled.layers.cells import CELLS, State, variant
from unrolled.layers.precision import choose_precision
from unrolled.layers.product import product
from unrolled.layers.scaling import FeatureScaling
from unrolled.layers.speaking import ReadySpeaker
from unrolled.layers.stack import stacked
from unrolled.layers.vocabulary import BestWords
from unrolled.model.options import check_count, check_options
from unrolled.model.parameters import given_params, initial_params, parameter_shapes
from unrolled.model.words import pack_words


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
        ``"rnn"`` or ``"lstm"``, started by one vector of features an image; or ``"attention"``, an
        LSTM that at every word looks at the image's locations, a vector of features each, or
        ``"additive"``, which scores them by a small network; or ``"gru"``.
    dtype : dtype
        float32, or float64 for gradient checks.
    seed : int, optional
        Of the initial weights; fresh ones every time unless given.
    dropout : float
        Probability to drop a number of the word vectors and of the hidden states on their way to
        the vocabulary, while training (Zaremba et al. 2014). 0 as in the assignment.
    feature_dropout : float
        The same for the projected features.
    num_layers : int
        Layers of cells, each reading what the one below it says, with dropout between them
        (Pascanu et al. 2014). Where the cell attends, the lowest does; LSTMs stand above it.
    layer_norm : bool
        Normalise inside the cell, of whatever type (Ba et al. 2016). On the NumPy path only.
    attention_gate : bool
        Let a cell that attends say at every word how much of what it attended to it reads, by a
        number in (0, 1) (Xu et al. 2015, section 4.2.1). On the NumPy path only.
    attention_penalty : float
        How much `unrolled.layers.doubly_stochastic_loss` counts, per caption, in the loss of a cell
        that attends (Xu et al. 2015 use 1).
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
        float32. Captions are said in float32 unless `ready` is told otherwise.
    params : mapping of str to array, optional
        What `params` begins as, all of it, instead of fresh weights.

    Attributes
    ----------
    params : dict of str to array
        W_proj (D, H), b_proj (H,), W_embed (V, W), Wx (W, G), Wh (H, G), b (G,), W_vocab (H, V),
        b_vocab (V,), where G is H for the RNN, 3 H for the GRU (and bn (H,)), 4 H for the LSTMs;
        Wattn (H, 4 H) where the cell attends, and Wa, Ua (H, H), wa (H,) where it does so by a
        network, wbeta (H,) and bbeta (1,) with the gate. Layer normalisation adds gains gx and gh
        (G,), and where there is a cell state gc and bc (H,). The weights of a second layer are
        called Wx_2 and so on.
    scaling : FeatureScaling or None
        What features are standardised by before the projection: measured, not trained. None, as in
        the assignment, leaves them as they are.

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
        feature_dropout: float = 0.0,
        attention_penalty: float = 0.0,
        attention_gate: bool = False,
        num_layers: int = 1,
        layer_norm: bool = False,
        forget_bias: float = 0.0,
        tie_weights: bool = False,
        precision: str = "float32",
        params: Mapping[str, Array] | None = None,
    ) -> None:
        check_count("CaptioningRNN", "input_dim", input_dim, least=1)
        if seed is not None:
            check_count("CaptioningRNN", "seed", seed, least=0)
        options = {"layer_norm": layer_norm, "attention_gate": attention_gate}
        check_options(
            "CaptioningRNN",
            cell_type=cell_type,
            wordvec_dim=wordvec_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            feature_dropout=feature_dropout,
            attention_penalty=attention_penalty,
            forget_bias=forget_bias,
            tie_weights=tie_weights,
            **options,
        )
        self.word_to_idx = dict(word_to_idx)
        self.idx_to_word = {i: word for word, i in self.word_to_idx.items()}
        if len(self.idx_to_word) < len(self.word_to_idx):
            raise InputError("CaptioningRNN: two words of word_to_idx have the same id")
        self.cell_type = cell_type
        self.dtype = _float_dtype(dtype)
        self.dropout = dropout
        self.feature_dropout = feature_dropout
        self.attention_penalty = float(attention_penalty)  # a NumPy one would widen gradients
        self.tie_weights = tie_weights
        self.precision = choose_precision("CaptioningRNN", precision, hidden_dim)
        self.scaling: FeatureScaling | None = None
        self._null = self._word_id("<NULL>")
        self.num_layers = num_layers
        self.layer_norm = layer_norm
        self.attention_gate = attention_gate
        self._cell = stacked(variant(CELLS[cell_type], **options), num_layers)
        self._cell_shapes = self._cell.shapes(wordvec_dim, hidden_dim)
        shapes = parameter_shapes(
            len(self.word_to_idx),
            input_dim,
            wordvec_dim,
            hidden_dim,
            cell_type,
            tie_weights,
            num_layers,
            **options,
        )
        if params is not None:
            self.params = given_params("CaptioningRNN", shapes, self.dtype, params)
            return
        self.params = initial_params(shapes, self.dtype, seed)
        if forget_bias:
            for name in ("b", *(f"b_{layer}" for layer in range(2, num_layers + 1))):
                self.params[name][hidden_dim : 2 * hidden_dim] = forget_bias

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments for JSON, without vocabulary and what weights begin as."""
        D, H = self.params["W_proj"].shape
        return {
            "input_dim": D,
            "wordvec_dim": self.params["W_embed"].shape[1],
            "hidden_dim": H,
            "cell_type": self.cell_type,
            "dtype": self.dtype.name,
            "dropout": self.dropout,
            "feature_dropout": self.feature_dropout,
            "attention_penalty": self.attention_penalty,
            "attention_gate": self.attention_gate,
            "num_layers": self.num_layers,
            "layer_norm": self.layer_norm,
            "tie_weights": self.tie_weights,
            "precision": self.precision,
        }

    @kept_buffers()
    def loss(
        self,
        features: Array,
        captions: Array,
        *,
        rng: np.random.Generator | None = None,
        weights: Array | None = None,
        label_smoothing: float = 0.0,
        words_in: Array | None = None,
        captions_per_image: int = 1,
    ) -> LossAndGrads:
        r"""Training loss of the captions given the images, and all its gradients.

        Words in are ``captions[:, :-1]``, words out ``captions[:, 1:]``; a word out that is
        ``<NULL>`` does not count. Nothing is computed after the last word of a caption that does.

        .. math:: L = -\frac{1}{N} \sum_{n,t} w_{nt} \log p_{nt, y_{nt}}

        Parameters
        ----------
        features : (N, D), the model's dtype
            Or (N, L, D) for a cell that attends, as also (N, Y, X, D): an image's locations.
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
        captions_per_image : int
            K: features are of N / K images, each projected once, and an image's captions stand one
            after the other.

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
        K = captions_per_image
        features, N = self._check_batch(features, captions, words_in, K)
        words = pack_words(captions, self._null, self.dtype, weights=weights, words_in=words_in)
        params, precision, order = self.params, self.precision, words.order

        # A vector each goes into the captions' order at once, for the way there and back.
        ordered = K == 1 and features.ndim == 2
        if ordered:
            features = features[order]
        image = self._project(features, precision)
        if not ordered:
            image = image[order // K]
        image, drop_image = self._drop(image, self.feature_dropout, rng)
        # A word that many captions read is multiplied once, unless each reads less of it.
        drops = _drops(self.dropout, rng)
        read, tokens = (words.read, None) if drops else words.once(*params["W_embed"].shape)
        x, embed_cache = word_embedding_forward(read, params["W_embed"])
        x, drop_x = self._drop(x, self.dropout, rng)
        options: dict[str, Any] = {"tokens": tokens, "precision": precision}
        if self.num_layers > 1:
            options["drop"] = lambda h: self._drop(h, self.dropout, rng)
        h, cell_cache = self._cell.forward(
            x, image, *self._cell_weights(), words.batch_sizes, **options
        )
        h_out, drop_h = self._drop(words.pick(h), self.dropout, rng)
        loss, dh_out, dW_vocab, db_vocab = vocabulary_loss(
            h_out,
            self._vocab_weights(),
            params["b_vocab"],
            words.said,
            words.weights,
            smoothing=label_smoothing,
            precision=precision,
        )

        dh = words.put(dropout_backward(dh_out, drop_h) if drop_h else dh_out)
        penalty, back = self._attention_loss(cell_cache, N)
        dx, dimage, *dcell = self._cell.backward(dh, cell_cache, **back)
        dx = dropout_backward(dx, drop_x) if drop_x else dx
        dW_embed = word_embedding_backward(dx, embed_cache)
        dimage = dropout_backward(dimage, drop_image) if drop_image else dimage
        drows = dimage
        if not ordered:
            drows = np.empty_like(dimage)
            drows[order] = dimage
        if K > 1:
            drows = drows.reshape(len(features), K, *drows.shape[1:]).sum(axis=1)
        drows, rows = _rows(drows), _rows(features)
        grads = {"W_proj": product(rows.T, drows, precision=precision)}
        grads |= {"b_proj": drows.sum(axis=0), "W_embed": dW_embed}
        grads |= zip(self._cell_shapes, dcell, strict=True)
        if self.tie_weights:
            grads["W_embed"] += dW_vocab.T  # the one matrix serves twice and learns from both
        else:
            grads["W_vocab"] = dW_vocab
        grads["b_vocab"] = db_vocab
        return LossAndGrads(loss + penalty, grads)

    def start(self, features: Array, *, precision: str = "float32") -> State:
        """Start a caption for each image.

        Parameters
        ----------
        features : (N, D), the model's dtype
            Or (N, L, D) for a cell that attends.
        precision : "float32" or "bfloat16"
            Of what the projection multiplies.

        Returns
        -------
        state : tuple, the hidden state (N, H) first
            What each member holds of a caption can be taken by row and repeated, as of an array.

        Raises
        ------
        ShapeError, DTypeError
            If the features do not fit the model.
        """
        features = self._check_features(features)
        return self._cell.start(self._project(features, precision), *self._cell_weights())

    def step(self, words: Array, state: State) -> tuple[Array, State]:
        """Read one word of each caption and score the next.

        Parameters
        ----------
        words : (N,) int
        state : tuple, from `start` or `step`

        Returns
        -------
        scores : (N, V), the model's dtype
            Logits of the next word.
        state : tuple

        Raises
        ------
        InputError
            If a word id lies outside the vocabulary.
        """
        state = self._advance(words, state)
        scores, _ = affine_forward(state[0], self._vocab_weights(), self.params["b_vocab"])
        return scores, state

    def ready(self, precision: str = "float32") -> ReadySpeaker:
        """Lay the weights out once for the many steps of a search.

        Parameters
        ----------
        precision : "float32", "bfloat16" or "auto"
            Of what the products of the features, of the recurrence where a cell's steps are
            compiled, and of the vocabulary layer multiply; attention and sums, and so
            log-probabilities, are float32. Faster where the CPU has bfloat16 units; ``"auto"``
            takes them where training would.

        Returns
        -------
        ReadySpeaker
            With this model's `start`, `step` and `best_words`, by the weights it has now: it is to
            be let go before `params` change.

        Raises
        ------
        InputError
            If there is no such precision.
        """
        precision = choose_precision("ready", precision, self.params["b_proj"].size)
        weights = self._cell_weights()
        start = functools.partial(self.start, precision=precision)
        outer = self.params["W_embed"], self._vocab_weights(), self.params["b_vocab"]
        return ReadySpeaker(
            self.word_to_idx, start, self._cell, weights, *outer, precision=precision
        )

    def _advance(self, words: Array, state: State) -> State:
        x, _ = word_embedding_forward(words, self.params["W_embed"])
        return self._cell.step(x, state, *self._cell_weights())

    def best_words(
        self, words: Array, state: State, count: int, *, never: Sequence[int] = ()
    ) -> tuple[BestWords, State]:
        """Read one word of each caption and choose the likeliest next ones.

        Parameters
        ----------
        words : (N,) int
        state : tuple, from `start`, `step` or `best_words`
        count : int
            K, words to choose for each caption.
        never : sequence of int
            Words that are passed over.

        Returns
        -------
        best : BestWords
            ``words`` and ``log_p`` (N, K), likeliest first and of equal ones the first; the
            log-probabilities, in nats, are those among all words, and -inf where there is no
            further word.
        state : tuple

        Raises
        ------
        InputError
            If a word id lies outside the vocabulary, also one of never, or count is below 1 or
            above V.
        """
        state = self._advance(words, state)
        bias = self.params["b_vocab"]
        return best_words(state[0], self._vocab_weights(), bias, count, never=never), state

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
        check_count("CaptioningRNN.sample", "max_length", max_length, least=0)
        start, end = self._word_id("<START>"), self._word_id("<END>")
        state, speaker = self.start(features), self.ready()
        captions = np.full((len(features), max_length), self._null, dtype=np.int32)
        words = np.full(len(features), start)
        speaking = np.ones(len(features), dtype=bool)
        for t in range(max_length):
            if not speaking.any():
                break
            best, state = speaker.best_words(words, state, 1)
            words = best.words[:, 0]
            captions[speaking, t] = words[speaking]
            speaking &= words != end
        return captions

    def _vocab_weights(self) -> Array:
        tied: Array = self.params["W_embed"].T
        return tied if self.tie_weights else self.params["W_vocab"]

    def _project(self, features: Array, precision: str = "float32") -> Array:
        """Bring features to the width of the recurrence: (N, D) or (N, L, D) to as many of H."""
        W, b = self.params["W_proj"], self.params["b_proj"]
        projected, _ = affine_forward(_rows(features), W, b, precision=precision)
        return projected.reshape(*features.shape[:-1], projected.shape[1])

    def _attention_loss(self, cache: Any, N: int) -> tuple[Any, dict[str, Array]]:
        """Give the penalty on what was attended to, and what the cell's way back takes of it."""
        if not self.attention_penalty:
            return 0.0, {}
        share = self.attention_penalty / max(N, 1)
        loss, dalphas = doubly_stochastic_loss(cache.alphas, cache.batch_sizes)
        return share * loss, {"dalphas": share * dalphas}

    def _cell_weights(self) -> list[Array]:
        return [self.params[name] for name in self._cell_shapes]

    def _drop(self, x: Array, rate: float, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Drop numbers of x while training; the layer's p is the probability to keep."""
        if not _drops(rate, rng):
            return x, None
        return dropout_forward(x, {"mode": "train", "p": 1 - rate, "rng": rng})

    def _word_id(self, word: str) -> int:
        if word not in self.word_to_idx:
            raise InputError(f"CaptioningRNN: the vocabulary needs the word {word}, and has it not")
        return self.word_to_idx[word]

    def _check_features(self, features: Array) -> Array:
        """Hold features to the model and standardise them; (N, D), or (N, L, D) to attend to."""
        check_array("CaptioningRNN", "features", features)
        if self._cell.attends and features.ndim == 4:
            N, Y, X, D = features.shape
            features = features.reshape(N, Y * X, D)
        wanted = "N L D" if self._cell.attends else "N D"
        check_shapes("CaptioningRNN", features=(features, wanted))
        D = self.params["W_proj"].shape[0]
        if features.shape[-1] != D:
            raise ShapeError(
                f"CaptioningRNN: features must be ({wanted[:-1].replace(' ', ', ')}{D}) for this "
                f"model, got {features.shape}; were they made by another encoder?"
            )
        check_floats("CaptioningRNN", model=self.params["W_proj"], features=features)
        return features if self.scaling is None else self.scaling.apply(features)

    def _check_batch(
        self, features: Array, captions: Array, words_in: Array | None, K: int
    ) -> tuple[Array, int]:
        features = self._check_features(features)
        size = check_shapes("CaptioningRNN.loss", captions=(captions, "N T"))
        check_count("CaptioningRNN.loss", "captions_per_image", K, least=1)
        if size["N"] != len(features) * K:
            each = f", {K} captions each" if K > 1 else ""
            raise ShapeError(
                f"CaptioningRNN.loss: there are captions for {size['N'] / K:g} images{each}, and "
                f"features of {len(features)}"
            )
        if size["T"] < 2:
            raise ShapeError(
                "CaptioningRNN.loss: captions must be (N, T + 1) with at least a word in and a "
                f"word out, got {captions.shape}"
            )
        V = self.params["W_embed"].shape[0]
        check_ids("CaptioningRNN.loss", captions, V, name="captions")
        if words_in is not None:
            check_ids("CaptioningRNN.loss", words_in, V, name="words_in")
        return features, size["N"]


def _float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(f"CaptioningRNN: dtype must be one of NumPy's, got {dtype!r}") from error
    if found.kind != "f":
        raise DTypeError(f"CaptioningRNN: dtype must be floating point, got {found}")
    return found


def _drops(rate: float, rng: np.random.Generator | None) -> bool:
    return rng is not None and rate > 0


def _rows(x: Array) -> Array:
    """View (N, ..., D) as rows of D."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
