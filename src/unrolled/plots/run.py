"""A training run: losses and scores by step and epoch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unrolled.errors import InputError
from unrolled.plots.canvas import DASHES, FAINT, MARKERS, PALETTE, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_run(
    records: Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str],
    *,
    best_by: str | None = None,
) -> None:
    """Draw a run's losses and scores into a PNG file, 1000 pixels wide.

    Parameters
    ----------
    records : iterable of mappings
        From a run's log, as `unrolled.training.read_log` gives them.
    path : path of a file
        Replaced as a whole, or left as it was.
    best_by : str, optional
        Score that chose the best epoch; it is drawn first and its best epoch is marked.

    Raises
    ------
    InputError
        If there is no step and no epoch among the records.
    DataError
        If the file cannot be written.
    MissingExtraError
        If matplotlib is not installed.
    """
    save_figure(run_figure(records, best_by=best_by), path)


def run_figure(records: Iterable[Mapping[str, Any]], *, best_by: str | None = None) -> Figure:
    """Draw a run's losses and scores as a matplotlib figure.

    Above, losses in nats per token: of every step, and for every epoch the mean over training and
    each score whose name ends in ``loss``. Below, the other scores of every epoch, and the rewards
    where training had any.

    Parameters
    ----------
    records : iterable of mappings
        From a run's log, as `unrolled.training.read_log` gives them.
    best_by : str, optional
        Score that chose the best epoch; it is drawn first and its best epoch is marked.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no step and no epoch among the records.
    MissingExtraError
        If matplotlib is not installed.
    """
    records = list(records)
    steps = [record for record in records if record["event"] == "step"]
    epochs = [record for record in records if record["event"] == "epoch"]
    if not steps and not epochs:
        raise InputError("plot: no step and no epoch among the records; has the run begun?")
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch["scores"]))
    names.sort(key=lambda name: name != best_by)
    scores = [name for name in names if not name.endswith("loss")]

    figure = new_figure(8, 7 if scores else 4)
    panels = list(figure.subplots(2 if scores else 1, 1, sharex=True, squeeze=False)[:, 0])
    _draw_losses(panels[0], steps, epochs, [name for name in names if name.endswith("loss")])
    if scores:
        _draw_scores(panels[1], steps, epochs, scores)
    _mark_best(panels, epochs)
    panels[-1].set_xlabel("Training step")
    _add_epoch_axis(panels[0], epochs)
    for axes, corner in zip(panels, ("upper right", "lower right"), strict=False):
        axes.grid(alpha=0.3)
        axes.spines["right"].set_visible(False)
        axes.legend(loc=corner, fontsize="small")
    return figure


def _draw_losses(
    axes: Axes,
    steps: Sequence[Mapping[str, Any]],
    epochs: Sequence[Mapping[str, Any]],
    names: Sequence[str],
) -> None:
    if steps:
        x = [record["step"] for record in steps]
        y = _numbers(record["loss"] for record in steps)
        axes.plot(x, y, color=FAINT, linewidth=0.8, label="training, each step")
    if epochs:
        _draw_line(axes, 0, epochs, [record["train_loss"] for record in epochs], "training, mean")
    for index, name in enumerate(names, start=1):
        values = [record["scores"].get(name) for record in epochs]
        _draw_line(axes, index, epochs, values, _readable(name))
    axes.set_ylabel("Loss (nats per token)")


def _draw_scores(
    axes: Axes,
    steps: Sequence[Mapping[str, Any]],
    epochs: Sequence[Mapping[str, Any]],
    names: Sequence[str],
) -> None:
    if rewarded := [record for record in steps if "reward" in record]:
        x = [record["step"] for record in rewarded]
        y = _numbers(record["reward"] for record in rewarded)
        axes.plot(x, y, color=FAINT, linewidth=0.8, label="reward, each step")
        values = [record.get("train_reward") for record in epochs]
        _draw_line(axes, len(names), epochs, values, "reward, mean")
    for index, name in enumerate(names):
        values = [record["scores"].get(name) for record in epochs]
        _draw_line(axes, index, epochs, values, name)
    axes.set_ylabel("Score (dimensionless)")


def _draw_line(
    axes: Axes, index: int, epochs: Sequence[Mapping[str, Any]], values: Iterable[Any], label: str
) -> None:
    axes.plot(
        [record["step"] for record in epochs],
        _numbers(values),
        color=PALETTE[index % len(PALETTE)],
        marker=MARKERS[index % len(MARKERS)],
        linestyle=DASHES[index % len(DASHES)],
        markersize=4,
        label=label,
    )


def _mark_best(panels: Sequence[Axes], epochs: Sequence[Mapping[str, Any]]) -> None:
    """Draw a line through the last epoch that was the best so far."""
    best = [record for record in epochs if record["is_best"]]
    for axes in panels if best else ():
        label = f"best: epoch {best[-1]['epoch']}"
        axes.axvline(best[-1]["step"], color="black", linewidth=0.8, linestyle=":", label=label)


def _add_epoch_axis(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    """Count epochs along the top."""
    if not epochs:
        return
    per_epoch = epochs[-1]["step"] / epochs[-1]["epoch"]
    top = axes.secondary_xaxis(
        "top", functions=(lambda step: step / per_epoch, lambda epoch: epoch * per_epoch)
    )
    top.set_xlabel("Epoch")


def _numbers(values: Iterable[Any]) -> list[float]:
    """Leave a gap in the line where a value is missing or was not finite."""
    return [float("nan") if value is None else float(value) for value in values]


def _readable(name: str) -> str:
    return {"val_loss": "validation"}.get(name, name)
