"""Yours to write: a model that captions images, made of the layers in rnn_layers.py."""

import numpy as np

from rnn_layers import *


class CaptioningRNN:
    """An image's features start a recurrence that says a caption, word by word.

    Parameters
    ----------
    word_to_idx : dict of str to int
        V words; <NULL> pads captions, <START> and <END> stand around them.
    input_dim, wordvec_dim, hidden_dim : int
        D, W and H: widths of the features, of the word vectors and of the state.
    cell_type : "rnn" or "lstm"
    dtype : dtype
    """

    def __init__(
        self,
        word_to_idx,
        input_dim=512,
        wordvec_dim=128,
        hidden_dim=128,
        cell_type="rnn",
        dtype=np.float32,
    ):
        self.word_to_idx = word_to_idx
        self.idx_to_word = {i: word for word, i in word_to_idx.items()}
        self.cell_type = cell_type
        self.dtype = dtype
        self._null = word_to_idx["<NULL>"]
        self._start = word_to_idx.get("<START>")
        self._end = word_to_idx.get("<END>")

        V, D, W, H = len(word_to_idx), input_dim, wordvec_dim, hidden_dim
        G = {"rnn": H, "lstm": 4 * H}[cell_type]
        shapes = {
            "W_proj": (D, H),
            "b_proj": (H,),
            "W_embed": (V, W),
            "Wx": (W, G),
            "Wh": (H, G),
            "b": (G,),
            "W_vocab": (H, V),
            "b_vocab": (V,),
        }
        self.params = {}
        for name, shape in shapes.items():
            scale = 0 if name.startswith("b") else 0.01 if name == "W_embed" else shape[0] ** -0.5
            self.params[name] = (scale * np.random.randn(*shape)).astype(dtype)

    def loss(self, features, captions):
        """The loss of captions (N, T + 1) given features (N, D), and every parameter's gradient.

        The network reads all words but the last, and is asked for all words but the first; <NULL>
        is not asked for. Returns loss, grads: a dict with the keys of self.params.
        """
        raise NotImplementedError("CaptioningRNN.loss")

    def sample(self, features, max_length=30):
        """Caption images greedily: the likeliest word, then the likeliest after that, ...

        The first word read is <START>. Returns words (N, max_length), <NULL> at first.
        """
        raise NotImplementedError("CaptioningRNN.sample")
