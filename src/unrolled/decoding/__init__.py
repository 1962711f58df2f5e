"""From scores to captions: what a model says, searched for or drawn."""

from unrolled.decoding.beam import NEVER_SAID, Hypothesis, beam_search
from unrolled.decoding.sampling import Samples, draw_words, sample_captions

__all__ = [
    "NEVER_SAID",
    "Hypothesis",
    "Samples",
    "beam_search",
    "draw_words",
    "sample_captions",
]
