"""Files as students write them, in styles unlike our own: the right pass, and the wrong do not."""

from __future__ import annotations

import importlib.util
import json
import shutil

import planted
import pytest

from unrolled.check import check_module, check_path
from unrolled.check.namespace import definitions_only
from unrolled.check.reading import read_sources

STUDENTS = planted.SOLUTION.parent / "students"


def checked(name, tmp_path):
    """Check what a file defines, in this process."""
    (source,) = read_sources(STUDENTS / f"{name}.py")
    assert source.fault is None
    path = tmp_path / f"{name}.py"
    lines = definitions_only(source.text).split("\n")
    path.write_text("\n".join(x for x in lines if "cs231n" not in x and "past" not in x))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {f.name: f for f in check_module(module).functions if f.status != "missing"}


def codes(results):
    return {
        name: (found.status, *(d.code for d in found.diagnoses)) for name, found in results.items()
    }


@pytest.mark.parametrize(
    ("name", "count"),
    [("einsum_and_dicts", 13), ("cells_and_closures", 8), ("tabs", 4), ("exported_notebook", 2)],
)
def test_right_in_their_own_way(name, count, tmp_path):
    found = codes(checked(name, tmp_path))
    assert len(found) == count
    assert set(found.values()) <= {("pass",), ("pass", "dtype-widened")}


@pytest.mark.peers
def test_right_in_torch(tmp_path):
    found = codes(checked("torch_styles", tmp_path))
    assert len(found) == 7
    assert set(found.values()) == {("pass",)}


def test_faults_that_are_in_no_list(tmp_path):
    found = codes(checked("odd_faults", tmp_path))
    blamed = ("error", "not-checked")
    assert found == {
        "rnn_step_forward": ("pass",),
        "rnn_step_backward": ("fail", "gradient-wrong"),  # clips what comes back
        "rnn_forward": ("fail", "forward-wrong"),  # reshapes where it should transpose
        "rnn_backward": blamed,
        "word_embedding_forward": ("fail", "forward-wrong"),  # counts words from 1
        "word_embedding_backward": blamed,
        "lstm_step_forward": ("fail", "wrong-count"),  # no cache where N is 1
        "lstm_step_backward": blamed,
        "temporal_affine_forward": ("fail", "forward-wrong"),
        "temporal_affine_backward": blamed,
        "temporal_softmax_loss": ("fail", "forward-wrong"),  # log(p + 1e-3)
    }


@pytest.mark.peers
def test_faults_in_torch(tmp_path):
    assert codes(checked("torch_faults", tmp_path)) == {
        "rnn_step_forward": ("fail", "graph-broken"),
        "rnn_forward": ("pass",),
        "word_embedding_forward": ("fail", "graph-broken"),
        "lstm_step_forward": ("fail", "wrong-nonlinearity"),
        "lstm_forward": ("pass", "dtype-narrowed"),
        "temporal_affine_forward": ("pass",),
        "temporal_softmax_loss": ("fail", "divided-by-time"),
    }


def notebook(cells):
    made = [{"cell_type": "code", "source": text.splitlines(True)} for text in cells]
    return json.dumps({"cells": made, "nbformat": 4})


COLAB = [
    "from google.colab import drive\ndrive.mount('/content/drive')\n%cd /content/drive/My\\ Drive",
    "import numpy as np\n%matplotlib inline\nplt.rcParams['figure.figsize'] = (10.0, 8.0)",
    "if True:\n    !pip install past\nfiles = !ls\nnp.tanh?",
    """def rnn_step_forward(x, prev_h, Wx, Wh, b):
    print('%d x %d'
        % x.shape)
    h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return h, (x, prev_h, Wx, Wh, h)
%timeit -n 3 rnn_step_forward(*args)""",
    "def word_embedding_forward(x, W):\n    print 'in Python 2'\n    return W[x], (x, W)",
    "raise ValueError('cells are not run')",
]


def test_a_bad_cell_does_not_spoil_the_others(tmp_path):
    path = tmp_path / "RNN_Captioning.ipynb"
    path.write_text(notebook(COLAB))
    whole, bad = read_sources(path)
    assert (whole.defined, whole.fault) == ({"rnn_step_forward"}, None)
    assert "% x.shape" in whole.text
    assert bad.defined == {"word_embedding_forward"}
    assert bad.label.endswith("RNN_Captioning.ipynb [5]")
    assert "print without parentheses is Python 2" in bad.fault.en


def test_a_bad_file_does_not_spoil_a_folder(tmp_path):
    """Nor does a file of another name that takes from the package what it does not define."""
    (tmp_path / "RNN_Captioning.ipynb").write_text(notebook(COLAB))
    (tmp_path / "Transformer_Captioning.ipynb").write_text('{"cells": 3}')
    (tmp_path / "collect_submission.py").write_text("def broken(:\n")
    shutil.copy(STUDENTS / "imports_itself.py", tmp_path / "mine.py")
    report = check_path(tmp_path)
    found = codes({f.name: f for f in report.functions if f.status != "missing"})
    assert found == {
        "rnn_step_forward": ("pass",),
        "rnn_step_backward": ("fail", "wrong-count"),  # a dict of gradients
        "word_embedding_forward": ("pass",),  # a list of lists: an array to NumPy
        "lstm_step_forward": ("pass",),
        "temporal_affine_forward": ("pass",),
        "temporal_affine_backward": ("fail", "gradient-averaged"),
    }
    said = [words.en for words in report.remarks]
    assert said[0].startswith("Transformer_Captioning.ipynb: left aside: a notebook that cannot be")
    assert report.exit_status == 1


def test_loops_over_every_number_and_packages_that_are_not_installed(tmp_path):
    shutil.copy(STUDENTS / "loops.py", tmp_path / "rnn_layers.py")
    report = check_path(tmp_path / "rnn_layers.py")
    assert (report.passed, report.failed) == (13, 0)
    (remark,) = report.remarks
    assert "NumPy no longer has np.Inf, np.float_; put back for the check" in remark.en
