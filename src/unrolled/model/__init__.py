"""The captioning model: its parameters, its loss with all gradients, and one step of a caption."""

from unrolled.model.captioning import CaptioningRNN, LossAndGrads
from unrolled.model.options import MOST_LAYERS, check_options
from unrolled.model.parameters import parameter_shapes

__all__ = ["MOST_LAYERS", "CaptioningRNN", "LossAndGrads", "check_options", "parameter_shapes"]
