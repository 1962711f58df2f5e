"""The laboratory from photos and folders: one call a study, and its arrays come back.

>>> from unrolled import plots
>>> from unrolled.jobs import lab
>>> figure = plots.words_figure(lab.words())  # doctest: +SKIP
"""

from unrolled.jobs.lab.studies import (
    Attention,
    WordVectors,
    attention,
    beam,
    curves,
    gates,
    vectors,
    words,
)
from unrolled.jobs.lab.through_time import gradients, radius
from unrolled.jobs.lab.writing import to_arrays, to_plain, write_numbers

__all__ = [
    "Attention",
    "WordVectors",
    "attention",
    "beam",
    "curves",
    "gates",
    "gradients",
    "radius",
    "to_arrays",
    "to_plain",
    "vectors",
    "words",
    "write_numbers",
]
