"""The laboratory's pictures show its arrays, say what they measure, and are files that open."""

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from unrolled import plots
from unrolled.errors import DataError, InputError
from unrolled.laboratory import (
    AttentionMaps,
    BeamTree,
    Gates,
    GradientNorms,
    LossCurve,
    Neighbours,
    RadiusNorms,
    WordChoices,
    WordMap,
)

RNG = np.random.default_rng(0)


def norms(name="rnn", loss="last"):
    h = np.abs(RNG.standard_normal((1, 3, 5))) + 0.1
    h[0, 1, 3:] = np.nan
    return GradientNorms(name, "rnn", loss, np.array([5, 3, 5]), h, None)


def radii(name="rnn"):
    return RadiusNorms(name, "rnn", 1.02, np.array([0.5, 1, 2]), RNG.uniform(0.1, 9, (3, 4, 6)))


def gates(names="ifog"):
    G, c = len(names), None if names == "rzn" else RNG.standard_normal((4, 9))
    values, h = RNG.uniform(0, 1, (G, 4, 9)), RNG.standard_normal((4, 9))
    words = ("<START>", "a", "red", "dog")
    shares = np.full(G, 0.25)
    return Gates("lstm", 1, words, tuple(names), values, h, c, shares, shares)


def choices():
    words = (("a", "the"), ("dog", "man"), ("<END>", "in"))
    p = np.array([[0.5, 0.3], [0.6, 0.1], [0.9, 0.05]])
    return WordChoices(
        ("<START>", "a", "cat"),
        ("a", "cat", "<END>"),
        np.array([0.5, 0.00123, 0.9]),
        np.array([0, 7, 0]),
        np.ones(3),
        words,
        p,
    )


def tree():
    words = ("<START>", "a", "two", "dog", "<END>", "dogs", "<END>")
    total = np.array([0, -0.5, -1, -0.9, -1.2, -1.5, -2.0])
    parent = np.array([-1, 0, 0, 1, 3, 2, 1])
    rank = np.array([-1, -1, -1, -1, 0, -1, 1])
    kept = np.array([1, 1, 0, 1, 1, 0, 1], bool)
    log_p = total - np.where(parent < 0, 0, total[parent])
    return BeamTree(words, parent, np.array([0, 1, 1, 2, 3, 2, 2]), log_p, total, kept, rank)


def maps():
    weights = RNG.uniform(0, 1, (7, 3, 2))
    weights[0] = 1  # everywhere alike
    return AttentionMaps(tuple("abcdefg"), weights / weights.sum(axis=(1, 2), keepdims=True))


def curve(name="one", steps=20):
    loss = 5 / np.arange(1, steps + 1)
    ends = np.array([steps // 2, steps])
    return LossCurve(name, np.arange(1, steps + 1), loss, loss + 0.1, ends, ends / 9, ends / 8)


def vectors():
    near = (("cat", "$5"), ("blue", "green"))
    words = ("dog", "red", "cat", "$5", "blue", "green")
    found = Neighbours(("dog", "red"), near, np.array([[0.9, 0.2], [0.7, -0.1]]))
    asked = np.array([1, 1, 0, 0, 0, 0], bool)
    of = np.array([0, 1, 0, 0, 1, 1])
    return found, WordMap(words, of, asked, RNG.standard_normal((6, 2)), np.array([0.4, 0.2]))


def photo():
    return RNG.integers(0, 255, (40, 60, 3), np.uint8)


FIGURES = {
    "gradients": lambda: plots.gradients_figure([norms("rnn"), norms("lstm")]),
    "radius": lambda: plots.radius_figure([radii("rnn"), radii("lstm")]),
    "gates": lambda: plots.gates_figure(gates(), count=5),
    "gates of a GRU": lambda: plots.gates_figure(gates("rzn"), units=[0, 7]),
    "words": lambda: plots.words_figure(choices()),
    "beam": lambda: plots.beam_figure(tree()),
    "attention": lambda: plots.attention_figure(maps(), photo()),
    "curves": lambda: plots.curves_figure([curve("one"), curve("two", 30)]),
    "vectors": lambda: plots.vectors_figure(*vectors()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_a_png(monkeypatch, tmp_path, name):
    monkeypatch.setattr("unrolled.plots.canvas.DPI", 40)  # to be quick
    figure = FIGURES[name]()
    plots.save_figure(figure, tmp_path / "it.png")
    data = (tmp_path / "it.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert abs(int.from_bytes(data[16:20], "big") - figure.get_figwidth() * 40) <= 1
    pixels = pytest.importorskip("matplotlib.image").imread(tmp_path / "it.png")
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10
    assert [path.name for path in tmp_path.iterdir()] == ["it.png"]


def test_equal_figures_are_equal_svgs(tmp_path):
    for name in ("a.svg", "b.svg"):
        plots.save_figure(plots.beam_figure(tree()), tmp_path / name)
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_gradients_are_medians_by_steps_back():
    measured = norms()
    (axes,) = plots.gradients_figure([measured]).axes
    (line,) = [line for line in axes.get_lines() if line.get_label() == "rnn"]
    np.testing.assert_allclose(line.get_ydata(), np.nanmedian(measured.relative, axis=0))
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "Steps back from the last word"
    (axes,) = plots.gradients_figure([norms(loss="all")]).axes
    assert axes.get_lines()[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert "nats per unit" in axes.get_ylabel()


def test_a_radius_is_a_line():
    measured = radii()
    panel, bar = plots.radius_figure([measured]).axes
    lines = [line.get_ydata() for line in panel.get_lines()[:3]]
    np.testing.assert_allclose(lines, np.median(measured.relative, axis=1))
    assert bar.get_ylabel() == "Spectral radius of Wh, scaled to"
    assert "its own radius: 1.02" in panel.get_title()


def test_gates_are_those_of_the_units():
    measured = gates()
    panels = [axes for axes in plots.gates_figure(measured, units=[8, 2]).axes if axes.images]
    assert len(panels) == 6
    for axes, values in zip(panels, (*measured.gates, measured.c, measured.h), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), values[:, [8, 2]].T)
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["8", "2"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == [*measured.words]
    assert panels[0].get_title() == "input gate i\n25% below 0.1, 25% above 0.9, of all units"
    assert panels[3].get_title() == "candidate g\n25% below -0.8, 25% above 0.8, of all units"
    assert panels[4].images[0].get_clim()[0] == -panels[4].images[0].get_clim()[1]


def test_units_are_those_whose_cell_state_varies_most():
    measured = gates()
    axes = plots.gates_figure(measured, count=3).axes[0]
    varied = np.argsort(-measured.c.var(axis=0))[:3]
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(u) for u in varied]
    with pytest.raises(InputError, match="from 0 to 8, got \\[9\\]"):
        plots.gates_figure(measured, units=[9])


def test_the_word_said_is_framed_where_it_is_among_the_likeliest():
    axes = plots.words_figure(choices()).axes[0]
    assert texts(axes)[:3] == ["a  50%", "a  50%", "the  30%"]
    assert texts(axes)[3] == "cat  0.12%"
    assert [round(patch.get_y() + 0.45) for patch in axes.patches] == [0, 2]


def test_the_tree_says_probabilities_and_ranks():
    (axes,) = plots.beam_figure(tree()).axes
    said = texts(axes)
    assert f"dog\n{np.exp(-0.4):.0%}" in said
    assert "  1.  -1.20 nats" in said
    assert "  2.  -2.00 nats" in said
    heights = [text.get_position()[1] for text in axes.texts if "nats" not in text.get_text()]
    steps = [text.get_position()[0] for text in axes.texts if "nats" not in text.get_text()]
    assert len({*zip(steps, heights, strict=True)}) == 7  # no word stands on another


def test_curves_share_their_axes():
    training, dev = plots.curves_figure([curve("one"), curve("two", 30)]).axes
    assert training.get_xlim() == dev.get_xlim()
    assert training.get_ylim() == dev.get_ylim()
    smoothed = {line.get_label(): line.get_ydata() for line in training.get_lines()}
    np.testing.assert_array_equal(smoothed["two"], curve("two", 30).smoothed)
    np.testing.assert_array_equal(dev.get_lines()[1].get_ydata(), curve("two", 30).val_loss)


def test_labels_of_words_do_not_cover_each_other():
    found, laid = vectors()
    crowded = laid._replace(xy=np.linspace(0, 0.05, 12).reshape(6, 2))
    crowded.xy[0] = -1  # six words, five of them almost on one point
    figure = plots.vectors_figure(found, crowded)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 6
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_word_is_no_equation():
    figure = plots.beam_figure(tree()._replace(words=("<START>", "$x$", *"bcdef")))
    figure.draw_without_rendering()
    (text,) = [text for text in figure.axes[0].texts if "x" in text.get_text()]
    assert text.get_text().startswith("\\$x\\$")


def test_a_notebook_shows_a_figure_without_pyplot():
    code = """if True:
        import sys
        import unrolled.plots
        from unrolled.laboratory import LossCurve
        import numpy as np
        curve = LossCurve("x", *[np.arange(3)] * 6)
        assert "matplotlib" not in sys.modules
        png = unrolled.plots.curves_figure([curve])._repr_png_()
        assert png[:4] == bytes([0x89]) + b"PNG"
        assert "matplotlib.pyplot" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(InputError, match="norms of one loss"):
        plots.gradients_figure([norms(), norms(loss="all")])
    for draw in (plots.gradients_figure, plots.radius_figure, plots.curves_figure):
        with pytest.raises(InputError):
            draw([])
    figure = plots.words_figure(choices())
    with pytest.raises(InputError, match=r"a\.gif: a picture is a \.png or an \.svg"):
        plots.save_figure(figure, tmp_path / "a.gif")
    with pytest.raises(DataError, match="cannot be written"):
        plots.save_figure(figure, tmp_path / "nowhere" / "a.png")
