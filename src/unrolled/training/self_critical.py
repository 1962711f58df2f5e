r"""Self-critical sequence training: captions drawn by the model, judged, and said more or less.

The expected reward of a caption that the model draws is what is to grow, and its gradient is that
of the softmax loss of the drawn captions with each word weighted by its caption's advantage:

.. math:: \nabla_\theta \, \mathbb{E}[r(c)]
    = \mathbb{E}\Big[(r(c) - b) \sum_t \nabla_\theta \log p(w_t \mid w_{<t})\Big]

for any baseline b that does not depend on c; a good one makes the estimate less noisy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from unrolled.decoding import sample_captions
from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN

Reward = Callable[[Array, Array], Array]
"""Takes (N,) rows of a batch and (N, K, T) captions of each, -1 after the last word, where
``<END>`` is a word; gives (N, K) rewards."""


class SelfCriticalLoss(NamedTuple):
    """The gradient of minus the expected reward, estimated, and what was drawn to estimate it."""

    grads: dict[str, Array]
    nats: float
    """Minus the log-probability of all words drawn: over `tokens`, the model's entropy a word."""
    tokens: int
    reward: float
    """Mean over the captions drawn."""
    baseline: float
    """Mean over the captions drawn."""


def self_critical_loss(
    model: CaptioningRNN,
    features: Array,
    reward: Callable[[Array], Array],
    rng: np.random.Generator,
    *,
    samples: int = 5,
    baseline: str = "samples",
    max_length: int = 30,
) -> SelfCriticalLoss:
    r"""Estimate the gradient of :math:`L = -\frac{1}{N} \sum_n \mathbb{E}[r(c_n)]`.

    Captions are drawn from the model's own distribution over all its words, nothing dropped, so
    that the estimate is unbiased: ``<UNK>`` may be drawn, and what it is worth is for the reward
    to say. ``<END>`` is a word like others, and what an unfinished caption is worth as well.

    A model's ``attention_penalty`` is penalised here, too, on what it attends to while it says the
    captions drawn: its gradient, per caption, is part of that which is given, and no reward's.

    Parameters
    ----------
    model : CaptioningRNN
    features : (N, ...), the model's dtype
    reward : callable
        Takes (N, K, T) captions, -1 after the last word; gives (N, K) rewards.
    rng : numpy.random.Generator
    samples : int
        K, captions drawn for each image.
    baseline : "samples" or "greedy"
        What a reward is held against: the mean reward of the image's other samples, or the reward
        of what the model says greedily.
    max_length : int
        Words at most, ``<END>`` included.

    Returns
    -------
    SelfCriticalLoss

    Raises
    ------
    InputError
        If there is no such baseline, or none to be had of so few samples.

    References
    ----------
    Williams (1992), REINFORCE; Rennie et al. (2017), "Self-critical sequence training for image
    captioning", equations 5 to 9 (greedy); Luo (2020), "A better variant of self-critical sequence
    training", equation 5 (samples).
    """
    least = {"samples": 2, "greedy": 1}.get(baseline)
    if least is None or samples < least:
        raise InputError(
            'self_critical_loss: baseline must be "samples", of 2 samples or more, or "greedy", '
            f"of 1 or more; got {baseline!r} and {samples} samples"
        )
    N, K = len(features), samples
    drawn = sample_captions(model, features, rng, samples=K, max_length=max_length, never=())
    longest = int(drawn.lengths.max(initial=1))
    words, lengths = drawn.words[:, :, :longest], drawn.lengths
    spoken = np.arange(longest) < lengths[:, :, None]
    rewards = reward(np.where(spoken, words, -1))
    if baseline == "greedy":
        held_against = np.broadcast_to(_greedy_reward(model, features, reward, max_length), (N, K))
    else:
        held_against = (rewards.sum(axis=1, keepdims=True) - rewards) / (K - 1)

    weights = np.where(spoken, (rewards - held_against)[:, :, None], 0.0)
    start = np.full((N, K, 1), model.word_to_idx["<START>"], words.dtype)
    captions = np.concatenate([start, words], axis=2).reshape(N * K, longest + 1)
    _, grads = model.loss(
        features, captions, weights=weights.reshape(N * K, longest), captions_per_image=K
    )
    return SelfCriticalLoss(
        grads,
        -float(drawn.log_probs.sum()),
        int(lengths.sum()),
        float(rewards.mean()),
        float(held_against.mean()),
    )


def _greedy_reward(
    model: CaptioningRNN, features: Array, reward: Callable[[Array], Array], max_length: int
) -> Array:
    """Reward what the model says when each word is the likeliest: (N, 1)."""
    words = model.sample(features, max_length)
    ended = np.cumsum(words == model.word_to_idx["<END>"], axis=1)
    after_end = np.concatenate([np.zeros_like(ended[:, :1]), ended[:, :-1]], axis=1) > 0
    return reward(np.where(after_end, -1, words)[:, None, :])
