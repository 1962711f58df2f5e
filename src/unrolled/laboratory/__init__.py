"""The laboratory: what happens inside a captioner, as arrays; `unrolled.plots` draws them.

Pure functions of a model, features and captions. They take float64 copies of the weights and go
through the layers' own steps, forward and back.
"""

from unrolled.laboratory.attention import AttentionMaps, attention_maps
from unrolled.laboratory.beam_tree import BeamTree, beam_tree
from unrolled.laboratory.curves import LossCurve, loss_curve, smooth
from unrolled.laboratory.gates import Gates, gate_activations, most_varied
from unrolled.laboratory.gradients import (
    GradientNorms,
    RadiusNorms,
    gradient_by_radius,
    gradient_norms,
    spectral_radius,
)
from unrolled.laboratory.unrolling import Unrolled, unroll
from unrolled.laboratory.vectors import (
    Neighbours,
    WordMap,
    neighbours,
    principal_components,
    word_map,
)
from unrolled.laboratory.words import WordChoices, word_choices

__all__ = [
    "AttentionMaps",
    "BeamTree",
    "Gates",
    "GradientNorms",
    "LossCurve",
    "Neighbours",
    "RadiusNorms",
    "Unrolled",
    "WordChoices",
    "WordMap",
    "attention_maps",
    "beam_tree",
    "gate_activations",
    "gradient_by_radius",
    "gradient_norms",
    "loss_curve",
    "most_varied",
    "neighbours",
    "principal_components",
    "smooth",
    "spectral_radius",
    "unroll",
    "word_choices",
    "word_map",
]
