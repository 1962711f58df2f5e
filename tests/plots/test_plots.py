"""The plot of a run shows the log's numbers, labelled with units, in colours all can tell apart."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from unrolled.errors import DataError, InputError, MissingExtraError
from unrolled.plots import PALETTE, plot_run, run_figure


def make_records(epochs=3, per_epoch=10, scores=("val_loss", "BLEU-4", "CIDEr")):
    records = []
    for epoch in range(1, epochs + 1):
        for step in range((epoch - 1) * per_epoch + 1, epoch * per_epoch + 1):
            records.append({"event": "step", "step": step, "loss": 7 / step})
        values = {name: i + epoch / 10 for i, name in enumerate(scores)}
        done = {"event": "epoch", "epoch": epoch, "step": epoch * per_epoch, "scores": values}
        records.append(done | {"train_loss": 5 / epoch, "is_best": epoch <= 2})
        records.append({"event": "saved", "kind": "last", "epoch": epoch, "step": done["step"]})
    return [*records, {"event": "finished", "reason": "completed", "epoch": epochs, "step": 30}]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_the_numbers_are_the_logs():
    losses, scores = run_figure(make_records(), best_by="CIDEr").axes
    drawn = lines(losses)
    each = drawn["training, each step"]
    assert list(each.get_xdata()) == list(range(1, 31))
    assert list(each.get_ydata()) == [7 / step for step in range(1, 31)]
    assert list(drawn["training, mean"].get_xdata()) == [10, 20, 30]
    assert list(drawn["training, mean"].get_ydata()) == [5, 5 / 2, 5 / 3]
    assert list(drawn["validation"].get_ydata()) == [0.1, 0.2, 0.3]
    drawn = lines(scores)
    assert list(drawn) == ["CIDEr", "BLEU-4", "best: epoch 2"]
    assert list(drawn["CIDEr"].get_ydata()) == [2.1, 2.2, 2.3]
    assert list(drawn["BLEU-4"].get_ydata()) == [1.1, 1.2, 1.3]
    assert list(drawn["best: epoch 2"].get_xdata()) == [20, 20]


def test_rewards_are_drawn_with_the_scores():
    records = make_records()
    for record in records:
        if record["event"] == "step":
            record["reward"] = record["step"] / 10
        if record["event"] == "epoch":
            record["train_reward"] = record["epoch"] / 2
    drawn = lines(run_figure(records).axes[1])
    assert list(drawn["reward, each step"].get_ydata()) == [step / 10 for step in range(1, 31)]
    assert list(drawn["reward, mean"].get_ydata()) == [0.5, 1.0, 1.5]


def test_axes_say_what_they_measure():
    figure = run_figure(make_records())
    losses, scores = figure.axes
    assert losses.get_ylabel() == "Loss (nats per token)"
    assert scores.get_ylabel() == "Score (dimensionless)"
    assert scores.get_xlabel() == "Training step"
    (epochs,) = losses.child_axes
    assert epochs.get_xlabel() == "Epoch"
    figure.draw_without_rendering()
    assert epochs.get_xlim() == pytest.approx([x / 10 for x in losses.get_xlim()])
    assert all(axes.get_legend() is not None for axes in figure.axes)


def test_the_file_is_a_png_and_the_same_each_time(tmp_path):
    plot_run(make_records(), tmp_path / "run.png")
    first = (tmp_path / "run.png").read_bytes()
    plot_run(iter(make_records()), str(tmp_path / "run.png"))
    assert (tmp_path / "run.png").read_bytes() == first
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(first[16:20], "big") == 1000
    assert [path.name for path in tmp_path.iterdir()] == ["run.png"]
    pixels = pytest.importorskip("matplotlib.image").imread(tmp_path / "run.png")[..., :3]
    drawn = {tuple(color) for color in np.round(pixels.reshape(-1, 3) * 255).astype(int)}
    for color in PALETTE[:2]:
        assert tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)) in drawn


@pytest.mark.parametrize(
    "records",
    [
        make_records()[:1],
        make_records(epochs=1, per_epoch=1),
        make_records(epochs=1, scores=()),
        [record for record in make_records() if record["event"] == "epoch"],
        make_records(scores=[f"score {i}" for i in range(20)]),
    ],
    ids=["one step", "one of each", "no scores", "no steps", "many scores"],
)
def test_runs_of_any_length(records):
    figure = run_figure(records)
    figure.set_dpi(40)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 10


def test_a_missing_number_is_a_gap():
    records = make_records()
    epochs = [record for record in records if record["event"] == "epoch"]
    epochs[1]["scores"]["CIDEr"] = None
    del epochs[2]["scores"]["val_loss"]
    losses, scores = run_figure(records).axes
    assert np.isnan(lines(scores)["CIDEr"].get_ydata()).tolist() == [False, True, False]
    assert np.isnan(lines(losses)["validation"].get_ydata()).tolist() == [False, False, True]


def test_nothing_to_draw(tmp_path):
    with pytest.raises(InputError, match="has the run begun"):
        plot_run([{"event": "finished", "step": 0}], tmp_path / "run.png")
    with pytest.raises(DataError, match=r"run.png: cannot be written \(No such file"):
        plot_run(make_records(), tmp_path / "nowhere" / "run.png")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r'pip install "unrolled\[train\]"'):
        run_figure(make_records())


def test_no_global_state_and_a_light_import():
    code = """if True:
        import sys
        import unrolled.plots
        assert "matplotlib" not in sys.modules
        unrolled.plots.run_figure([{"event": "step", "step": 1, "loss": 1.0}])
        assert "matplotlib" in sys.modules
        assert "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


# Machado, Oliveira & Fernandes (2009), severity 1.0, on linear RGB.
COLOUR_VISION = {
    "all cones": np.eye(3),
    "no red cones": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green cones": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue cones": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("matrix", COLOUR_VISION.values(), ids=COLOUR_VISION)
def test_the_colours_differ_to_every_eye(matrix):
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in PALETTE]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
    for one, other in itertools.combinations(seen, 2):
        assert np.abs(one - other).max() > 0.08
