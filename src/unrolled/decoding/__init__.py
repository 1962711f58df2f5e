"""From scores to captions: what a model says, searched for or drawn."""

from unrolled.decoding.beam import BeamStep, Hypothesis, beam_search
from unrolled.decoding.consensus import consensus
from unrolled.decoding.rules import NEVER_SAID, Rules
from unrolled.decoding.sampling import Samples, draw_words, sample_captions
from unrolled.decoding.speaker import Ensemble, Speaker

__all__ = [
    "NEVER_SAID",
    "BeamStep",
    "Ensemble",
    "Hypothesis",
    "Rules",
    "Samples",
    "Speaker",
    "beam_search",
    "consensus",
    "draw_words",
    "sample_captions",
]
