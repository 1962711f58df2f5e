"""Pictures, drawn off screen from arrays and records that are given.

Colours are told apart with every kind of colour vision (Okabe & Ito 2008; cividis), axes say what
they measure. `save_figure` writes any of them as PNG or SVG; a notebook shows a figure that stands
last in a cell.
"""

from unrolled.plots.attention import attention_figure
from unrolled.plots.beam import beam_figure
from unrolled.plots.canvas import PALETTE, check_installed, save_figure
from unrolled.plots.curves import curves_figure
from unrolled.plots.gates import gates_figure
from unrolled.plots.gradients import gradients_figure, radius_figure
from unrolled.plots.run import plot_run, run_figure
from unrolled.plots.vectors import vectors_figure
from unrolled.plots.words import words_figure

__all__ = [
    "PALETTE",
    "attention_figure",
    "beam_figure",
    "check_installed",
    "curves_figure",
    "gates_figure",
    "gradients_figure",
    "plot_run",
    "radius_figure",
    "run_figure",
    "save_figure",
    "vectors_figure",
    "words_figure",
]
