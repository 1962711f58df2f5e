"""Files, folders in the assignment's layouts, and notebooks: what is found in them, and runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import planted
import pytest

from unrolled.check import check_path, reading
from unrolled.errors import DataError, InputError

LAYERS = (planted.SOLUTION / planted.LAYERS).read_text(encoding="utf-8")
MODEL = (planted.SOLUTION / planted.MODEL).read_text(encoding="utf-8")


def statuses(report) -> dict[str, str]:
    return {f.name: f.status for f in report.functions}


def write_notebook(path: Path, cells: list[str]) -> Path:
    code = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    markdown = {"cell_type": "markdown", "source": ["def rnn_forward(:\n"]}
    path.write_text(json.dumps({"cells": [markdown, *code], "nbformat": 4}), encoding="utf-8")
    return path


def numpy_folder(root: Path) -> Path:
    """The layout of 2016 to 2024, with what else lies in such a folder."""
    package = root / "assignment3" / "cs231n"
    (package / "classifiers").mkdir(parents=True)
    shutil.copy(planted.SOLUTION / planted.LAYERS, package)
    shutil.copy(planted.SOLUTION / planted.MODEL, package / "classifiers")
    (package / "layers.py").write_text("def affine_forward(x, w, b):\n    return None, None\n")
    (package / "captioning_solver.py").write_text("import h5py_not_here\nprint 'old'\n")
    (package / "setup.py").write_text("from distutils.core import setup\n")
    checkpoints = root / "assignment3" / ".ipynb_checkpoints"
    checkpoints.mkdir()
    (checkpoints / "rnn_layers.py").write_text("def rnn_forward(): return 1\n")
    write_notebook(root / "assignment3" / "RNN_Captioning.ipynb", ["%matplotlib inline\nx = 1"])
    return root / "assignment3"


def test_whole_folder(tmp_path):
    report = check_path(numpy_folder(tmp_path))
    assert report.profile == "numpy"
    assert set(statuses(report).values()) == {"pass"}


def test_model_alone_has_its_helpers_supplied(tmp_path):
    path = tmp_path / "my rnn (2).py"
    path.write_text(MODEL.replace("from ..", "from cs231n."), encoding="utf-8")
    report = check_path(path)
    assert (report.passed, report.failed) == (2, 0)


def test_notebook_runs_its_definitions_alone(tmp_path):
    cells = [
        (
            "%load_ext autoreload\nimport numpy as np\nimport matplotlib_that_is_not_here as plt\n"
            "from cs231n.data_utils import load_coco_data\n"
        ),
        "!ls\ndata = load_coco_data(max_train=50)\nwhile True: pass\n",
        LAYERS.split('"""', 2)[2],
        "%%bash\nrm -rf /\n",
        "%%time\nscale = 3\n",
        "broken cell (",
    ]
    report = check_path(write_notebook(tmp_path / "rnn.ipynb", cells))
    assert (report.passed, report.failed) == (13, 0)


def test_part_of_the_functions(tmp_path):
    text = LAYERS[: LAYERS.index("def word_embedding_forward")]
    path = tmp_path / "rnn_layers.py"
    path.write_text(
        text + "\n\ndef lstm_forward(x, h0, Wx, Wh, b):\n    h, cache = None, None\n"
        '    """Do it."""\n    return h, cache\n',
        encoding="utf-8",
    )
    report = check_path(path)
    assert (report.passed, report.failed, report.exit_status) == (4, 0, 0)
    results = {f.name: f for f in report.functions}
    assert results["lstm_step_forward"].diagnoses == ()
    assert [d.code for d in results["lstm_forward"].diagnoses] == ["not-implemented"]
    assert results["lstm_forward"].status == "missing"


def test_wrong_helper_is_blamed_and_not_what_stands_on_it(tmp_path):
    fault = planted.Fault("", "lstm_step_backward", "dprev_c = dc * f", "dprev_c = dc")
    folder = numpy_folder(tmp_path)
    (folder / "cs231n" / "rnn_layers.py").write_text(planted.planted(fault), encoding="utf-8")
    report = check_path(folder)
    assert {n for n, s in statuses(report).items() if s != "pass"} == {"lstm_step_backward"}
    assert any("lstm_backward was checked with" in remark for remark, _ in report.remarks)


def test_right_backward_of_a_wrong_forward(tmp_path):
    text = LAYERS.replace("i = sigmoid(a[:, :H])", "i = np.tanh(a[:, :H])")
    text = text.replace("di * i * (1 - i)", "di * (1 - i * i)")
    path = tmp_path / "rnn_layers.py"
    path.write_text(text, encoding="utf-8")
    found = statuses(check_path(path))
    assert found["lstm_step_forward"] == "fail"
    assert found["lstm_step_backward"] == "pass"
    path.write_text(text.replace("dprev_c = dc * f", "dprev_c = dc"), encoding="utf-8")
    assert statuses(check_path(path))["lstm_step_backward"] != "pass"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def rnn_forward(x):\n    print 'here'\n", "line 2: print 'here': print without"),
        ("def rnn_forward(x):\n    return (\n", "not Python that can be read"),
        ("def something_else(): pass\n", "none of the assignment's functions"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, text, said):
    path = tmp_path / "rnn_layers.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        check_path(path)


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"cells": 3}', "[" * 100_000])
def test_notebook_that_cannot_be_read_is_named(tmp_path, text):
    path = tmp_path / "mine.ipynb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"mine\.ipynb: a notebook that cannot be read"):
        check_path(path)


def test_no_such_path_and_no_such_profile(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        check_path(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no profile"):
        check_path(tmp_path, profile="jax")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"expected a \.py file"):
        check_path(tmp_path / "notes.txt")


@pytest.mark.peers
def test_folder_of_2025(tmp_path):
    package = tmp_path / "assignment2" / "cs231n"
    (package / "classifiers").mkdir(parents=True)
    shutil.copy(planted.SOLUTION / planted.TORCH_LAYERS, package)
    shutil.copy(planted.SOLUTION / planted.TORCH_MODEL, package / "classifiers")
    report = check_path(tmp_path / "assignment2")
    assert report.profile == "torch"
    assert set(statuses(report).values()) == {"pass"}


def test_without_torch_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    path = tmp_path / "rnn_layers_pytorch.py"
    shutil.copy(planted.SOLUTION / planted.TORCH_LAYERS, path)
    report = check_path(path)
    assert report.exit_status == 2
    errors = [f for f in report.functions if f.status == "error"]
    assert {d.code for f in errors for d in f.diagnoses} == {"torch-missing"}


def test_stubs_are_told_from_work():
    import ast

    def stub(body: str) -> bool:
        return reading.is_stub(ast.parse(f"def f(self, features):\n{body}").body[0])

    assert stub('    """Doc."""\n    pass')
    assert stub("    dx, dh = None, None\n    return dx, dh")
    assert stub(
        "    N = features.shape[0]\n    captions = self._null * np.ones((N, 3))\n"
        "    W, b = self.params['W'], self.params['b']\n    return captions"
    )
    assert stub("    loss, grads = 0.0, {}\n    return loss, grads")
    assert not stub("    out = features * 2")
    assert not stub("    return features")


def test_other_students_habits_pass(tmp_path):
    path = tmp_path / "rnn_layers.py"
    shutil.copy(planted.SOLUTION.parent / "other_habits.py", path)
    report = check_path(path)
    assert (report.passed, report.failed) == (10, 0)
    told = {d.code for f in report.functions for d in f.diagnoses}
    assert told == {"dtype-widened", "upstream-changed"}
    assert any("np.float" in remark for remark, _ in report.remarks)


def test_file_that_cannot_be_loaded_cannot_be_used(tmp_path):
    path = tmp_path / "rnn_layers.py"
    path.write_text(f"import numpy.no_such_part\n{LAYERS}", encoding="utf-8")
    report = check_path(path)
    assert report.exit_status == 2
    found = next(f for f in report.functions if f.name == "rnn_forward")
    assert (found.status, found.diagnoses[0].code) == ("error", "raises")
