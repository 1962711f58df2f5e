"""The assignment's notebooks run with blanks and filled in; checks say what is missing."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from unrolled import layers
from unrolled.check.spec import SPECS

FOLDER = Path(__file__).parents[1] / "examples" / "assignment"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FILES = ("rnn_layers.py", "captioning_rnn.py")
FILLED_MODEL = {
    "loss": "return _ours(self).loss(features, captions)",
    "sample": "return _ours(self).sample(features, max_length)",
}
OURS = """

def _ours(model):
    ours = unrolled.CaptioningRNN(
        model.word_to_idx,
        model.params["W_proj"].shape[0],
        model.params["W_embed"].shape[1],
        model.params["Wh"].shape[0],
        model.cell_type,
        model.dtype,
    )
    ours.params = model.params
    return ours
"""


@pytest.fixture
def handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as a student gets it; what a notebook imports from it is forgotten again."""
    folder = Path(shutil.copytree(FOLDER, tmp_path / "assignment"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("rnn_layers", "captioning_rnn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def cells(notebook: Path, kind: str) -> list[str]:
    book = json.loads(notebook.read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == kind]


def run(notebook: Path, only: str = "") -> str:
    """Run a notebook, or its first cell and those with a text in them; give what it prints."""
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for number, cell in enumerate(cells(notebook, "code")):
            if number == 0 or only in cell:
                exec(compile(cell, f"{notebook.name}, code cell {number}", "exec"), names)
    return said.getvalue()


def blanks(file: Path) -> list[ast.FunctionDef]:
    functions = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.FunctionDef)]
    return [f for f in functions if isinstance(f.body[-1], ast.Raise)]


def fill(file: Path) -> None:
    """Put a call of ours into every blank, with the arguments that the blank names."""
    lines = file.read_text(encoding="utf-8").splitlines()
    for function in blanks(file):
        arguments = [a.arg for a in function.args.args]
        own = f"return layers.{function.name}({', '.join(arguments)})"
        line = function.body[-1].lineno - 1
        indent = lines[line][: -len(lines[line].lstrip())]
        lines[line] = indent + FILLED_MODEL.get(function.name, own)
    text = "\n".join(lines).replace("import numpy as np\n", "import numpy as np\nimport unrolled\n")
    text = text.replace("import unrolled\n", "import unrolled\nfrom unrolled import layers\n", 1)
    file.write_text(text + OURS, encoding="utf-8")


def test_every_function_of_the_assignment_is_a_blank() -> None:
    functions = {f.name for file in FILES for f in blanks(FOLDER / file)}
    assert functions == {name.rpartition(".")[2] for name in SPECS}


def test_every_function_is_checked_in_a_notebook() -> None:
    asked = [
        argument.value
        for notebook in NOTEBOOKS
        for cell in cells(notebook, "code")
        for call in ast.walk(ast.parse(cell))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]
    assert sorted(asked) == sorted(SPECS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_clean(notebook: Path) -> None:
    book = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        assert cell["cell_type"] == "markdown" or (
            cell["outputs"] == [] and cell["execution_count"] is None
        )
    ids = [cell["id"] for cell in book["cells"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", [n.name for n in NOTEBOOKS])
def test_with_blanks_it_runs_and_says_what_is_missing(handed_out: Path, name: str) -> None:
    said = run(handed_out / name)
    assert "pass    " not in said
    assert "missing " in said
    assert "still as it was handed out" in said


@pytest.mark.parametrize("name", [n.name for n in NOTEBOOKS])
def test_filled_in_it_runs_and_passes(handed_out: Path, name: str) -> None:
    for file in FILES:
        fill(handed_out / file)
    said = run(handed_out / name)
    for verdict in ("missing ", "fail    ", "error   "):
        assert verdict not in said, said
    assert "pass    " in said
    if "captioning" in name:
        assert "with your model" in said
        share = re.search(r"right: (\d+)% of what it has seen", said)
        assert int(share[1]) >= 90, said


def test_a_wrong_one_is_told(handed_out: Path) -> None:
    for file in FILES:
        fill(handed_out / file)
    file = handed_out / "rnn_layers.py"
    text = file.read_text(encoding="utf-8")
    right = "return layers.rnn_step_forward(x, prev_h, Wx, Wh, b)"
    assert right in text
    file.write_text(text.replace(right, right.replace("x, prev_h", "x, 0 * prev_h")))
    said = run(handed_out / "1_rnn.ipynb", only='check("rnn_step_forward"')
    assert "fail    rnn_step_forward" in said


def test_blanks_have_our_arguments() -> None:
    for function in blanks(FOLDER / "rnn_layers.py"):
        ours = inspect.signature(getattr(layers, function.name)).parameters.values()
        asked = [p.name for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert [a.arg for a in function.args.args] == asked, function.name
