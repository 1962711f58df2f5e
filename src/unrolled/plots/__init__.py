"""Pictures, drawn off screen: they take arrays and records, and compute nothing.

Colours are told apart with every kind of colour vision (Okabe & Ito 2008; cividis), axes say what
they measure. `save_figure` writes any of them as PNG or SVG; a notebook shows a figure that stands
last in a cell.
"""

from unrolled.plots.canvas import PALETTE, check_installed, save_figure
from unrolled.plots.run import plot_run, run_figure

__all__ = ["PALETTE", "check_installed", "plot_run", "run_figure", "save_figure"]
