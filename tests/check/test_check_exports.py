"""What comes out: JSON, JUnit, Gradescope, the table and the exit status."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import planted
import pytest

from unrolled.check import MESSAGES, Diagnosis, check_module, exports, plain
from unrolled.check.diagnoses import NOTES
from unrolled.errors import DataError, InputError
from unrolled.gradcheck import check as gradcheck

WRONG = planted.planted(planted.BACKWARD[0])


@pytest.fixture(scope="module")
def wrong_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("student") / "rnn_layers.py"
    text = WRONG[: WRONG.index("def word_embedding_forward")].replace(", dtype=x.dtype", "")
    path.write_text(text, encoding="utf-8")
    return path


def test_every_message_is_said_in_both_languages():
    for code, (english, chinese) in MESSAGES.items():
        assert english != chinese
        names = [part.split("}")[0] for part in english.split("{")[1:]]
        assert sorted(names) == sorted(p.split("}")[0] for p in chinese.split("{")[1:]), code
        said = Diagnosis(code, dict.fromkeys(names, "everything")).message("zh")
        assert "{" not in said
        assert any("\u4e00" <= c <= "\u9fff" for c in said)
    assert set(MESSAGES) >= NOTES
    assert len(MESSAGES) >= 15


def test_json_is_as_promised(cli, wrong_file):
    said = cli("check", wrong_file, "--json")
    assert said.code == 1
    report = json.loads(said.out)
    assert report.keys() == {"profile", "functions", "passed", "failed"}
    assert (report["profile"], report["passed"], report["failed"]) == ("numpy", 3, 1)
    for function in report["functions"]:
        assert function.keys() == {"name", "status", "max_rel_error", "diagnoses"}
        assert function["status"] in ("pass", "fail", "missing", "error")
    mine = next(f for f in report["functions"] if f["name"] == "rnn_step_backward")
    assert mine["status"] == "fail"
    assert mine["max_rel_error"] > 1e-3
    assert mine["diagnoses"] == [
        {"code": "derivative-missing", "message": "the derivative of tanh is missing"}
    ]


def test_table_junit_and_gradescope(cli, wrong_file, tmp_path):
    points = tmp_path / "points.json"
    points.write_text('{"rnn_step_forward": 2, "rnn_step_backward": 5}', encoding="utf-8")
    junit, results = tmp_path / "junit.xml", tmp_path / "results.json"
    said = cli(
        "check",
        wrong_file,
        "--lang",
        "zh",
        "--junit",
        junit,
        "--gradescope",
        results,
        "--points",
        points,
    )
    assert said.code == 1
    assert "缺少 tanh 的导数" in said.out
    assert "derivative" not in said.out
    suite = ElementTree.fromstring(junit.read_text(encoding="utf-8"))[0]
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "0", "11")
    grades = json.loads(results.read_text(encoding="utf-8"))
    scores = {t["name"]: (t["score"], t["max_score"], t["status"]) for t in grades["tests"]}
    assert scores == {
        "rnn_step_forward": (2.0, 2.0, "passed"),
        "rnn_step_backward": (0.0, 5.0, "failed"),
    }
    assert grades["score"] == 2.0


def test_strict_counts_what_is_otherwise_told(cli, wrong_file):
    report = json.loads(cli("check", wrong_file, "--json", "--strict").out)
    failed = {
        f["name"]: f["diagnoses"][0]["code"] for f in report["functions"] if f["status"] == "fail"
    }
    assert failed == {"rnn_forward": "dtype-widened", "rnn_step_backward": "derivative-missing"}


def test_exit_status_2_and_results_for_gradescope_all_the_same(cli, tmp_path):
    path, results = tmp_path / "rnn_layers.py", tmp_path / "results.json"
    path.write_text("def rnn_forward(x):\n    print 'x'\n", encoding="utf-8")
    said = cli("check", path, "--gradescope", results)
    assert said.code == 2
    assert "Python 2" in said.err
    assert "Python 2" in json.loads(results.read_text(encoding="utf-8"))["output"]
    assert cli("check", path, "--gradescope", tmp_path / "no" / "where").code == 2


def test_what_is_no_text_is_written_all_the_same(cli, tmp_path):
    path, results = tmp_path / "rnn_layers.py", tmp_path / "results.json"
    path.write_text(
        'def rnn_step_forward(x, prev_h, Wx, Wh, b):\n    raise ValueError("\\udc80")\n',
        encoding="utf-8",
    )
    junit = tmp_path / "junit.xml"
    assert cli("check", path, "--gradescope", results, "--junit", junit).code == 1
    assert "ValueError" in json.loads(results.read_text(encoding="utf-8"))["tests"][0]["output"]
    ElementTree.fromstring(junit.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["[1]", '{"rnn_forward": -1}', '{"rnn_fourward": 1}', "no"])
def test_points_that_cannot_be(tmp_path, text):
    path = tmp_path / "points.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError):
        exports.read_points(path)


def test_check_module_wants_a_function():
    with pytest.raises(InputError, match="none of the assignment's functions"):
        check_module(json)


def test_plain_functions_are_ours():
    report = check_module(plain)
    assert (report.passed, report.failed) == (13, 0)


def test_functions_outside_the_assignment_with_one_public_call():
    import numpy as np

    report = gradcheck(lambda x: (x**3, x), lambda dout, x: 3 * x**2 * dout, (np.ones((2, 3)),))
    assert report.max_error < 1e-6
