"""A picture of how the time of a step grows with batch, length and vocabulary."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.errors import DataError, InputError
from unrolled.jobs.bench.results import Results
from unrolled.plots import PALETTE, check_installed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {"N": "captions in a batch", "T": "words in a caption", "V": "words in the vocabulary"}
MARKERS = "osD^vPX"


def figure(results: Results) -> Figure:
    """Draw the medians of every setting, both axes logarithmic.

    Parameters
    ----------
    results : Results

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no such steps were measured.
    MissingExtraError
        If matplotlib is not installed.
    """
    check_installed()
    from matplotlib.figure import Figure

    records = results.of("plot")
    if not records:
        raise InputError("bench: nothing was measured to plot; measure it with --only plot")
    names = list(dict.fromkeys(each.setting for each in records))
    found = [axis for axis in AXES if any(each.case == axis for each in records)]
    drawing = Figure(figsize=(4.2 * len(found), 4.2), layout="constrained")
    for place, axis in enumerate(found, start=1):
        shared = drawing.axes[0] if drawing.axes else None  # one scale of time for all
        panel = drawing.add_subplot(1, len(found), place, sharey=shared)
        panel.label_outer()
        for number, name in enumerate(names):
            here = [r for r in records if r.case == axis and r.setting == name]
            points = sorted((r.at[0], r.middle * 1e3) for r in here)
            panel.plot(
                *zip(*points, strict=True),
                label=name,
                color=PALETTE[number % len(PALETTE)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=4,
            )
        panel.set(xscale="log", yscale="log", xlabel=AXES[axis])
        ticks = sorted({r.at[0] for r in records if r.case == axis})
        panel.set_xticks(ticks, labels=[f"{tick:,}" for tick in ticks])
        panel.minorticks_off()
        panel.grid(color="#DDDDDD")
    drawing.axes[0].set_ylabel("milliseconds a training step")
    lines = {str(line.get_label()): line for panel in drawing.axes for line in panel.get_lines()}
    drawing.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4)
    return drawing


def write_plot(results: Results, path: Path) -> None:
    """Draw the figure into a PNG file.

    Parameters
    ----------
    results : Results
    path : Path

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    picture = io.BytesIO()
    figure(results).savefig(picture, format="png", dpi=110, metadata={"Software": None})
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
