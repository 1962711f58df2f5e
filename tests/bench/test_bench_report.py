"""The report: tables from JSON, between their markers."""

from dataclasses import replace

import pytest
from benchmarks import report
from benchmarks.report import PAGES, ROOT, blocks, machine, markdown, reached, replaced, summary

from unrolled.errors import DataError
from unrolled.jobs.bench import Record, Results

MACHINE = {
    "made": "2026-01-02T03:04:05+00:00",
    "cpu": {"name": "A CPU", "instructions": ["avx2", "amx_bf16"]},
    "kernels": {"path": "amx"},
    "threads": 2,
    "rounds": 15,
    "clock": "wall",
    "versions": {"numpy": "2.4"},
}


def record(setting, value, part="step", case="c", cell="lstm", **more):
    return Record(part, case, cell, setting, [value], **more)


RESULTS = Results(
    MACHINE,
    [
        record("unrolled float32", 0.2, flops=6e9),
        record("unrolled bfloat16", 0.1, flops=6e9),
        record("unrolled numpy", 0.5),
        record("assignment's usual", 9.0),
        record("torch packed float32", 0.5),
        record("torch compiled float32", 0.45),
        record("torch valid bfloat16", 0.4),
        record("unrolled bfloat16", 0.05, part="limit", flops=5e9),
        record("unrolled float32", 30 * 2**20, part="memory"),
        record("torch packed float32", 90 * 2**20, part="memory"),
        record("unrolled float32", 0.5, part="decode", case="greedy", units=1000),
        record("torch LSTM bfloat16", 1.5, part="decode", case="greedy", units=1000),
        record("onnxruntime", 2.0, part="decode", case="greedy", units=1000),
    ],
)


def test_what_was_reached_is_held_to_floor_and_aim():
    rows = {row[0]: row for row in reached(RESULTS).rows}
    assert rows["step: against PyTorch's best"] == (
        "step: against PyTorch's best",
        "c lstm",
        "unrolled bfloat16, 100.0 ms",
        "torch valid bfloat16, 400.0 ms",
        "4.00x",
        "2x",
        "4x",
    )
    eager = rows["step: float32 against PyTorch eager float32"]
    assert eager[3:5] == ("torch packed float32, 500.0 ms", "2.50x")
    assert rows["step: without compiled kernels, against PyTorch eager float32"][4] == "1.00x"
    assert rows["memory: peak memory of a step, PyTorch's least"][4] == "3.00x"
    assert rows["step: share of the bfloat16 limit"][4] == "60%"  # 60 of 100 GFLOP/s
    assert rows["decode: captions a second against PyTorch's best"][4] == "3.00x"
    assert rows["decode: captions a second against ONNX Runtime"][4:] == ("4.00x", "", "")
    assert "step: against the assignment's usual solution" not in rows  # of case a alone


def test_the_rows_of_an_rnn_stand_beside_and_without_bounds():
    beside = [replace(each, cell="rnn") for each in RESULTS.records if each.part != "decode"]
    rows = reached(Results(MACHINE, [*RESULTS.records, *beside])).rows
    found = {row[0]: row for row in rows if row[1] == "c rnn"}
    assert len(found) == 5
    for name, row in found.items():
        (lstm,) = (each for each in rows if each[:2] == (name, "c lstm"))
        assert row[2:5] == lstm[2:5]
        assert row[5:] == ("", "")
        assert all(lstm[5:])


def test_a_table_is_written_as_markdown():
    lines = markdown(summary(RESULTS)).splitlines()
    assert lines[0].startswith("|  | unrolled bfloat16 |")
    assert set(lines[1]) <= set("| -")
    assert lines[2] == "| step c lstm | 100.0 ms | 200.0 ms | 500.0 ms | 400.0 ms |"
    assert {line.count("|") for line in lines} == {6}


def test_a_block_is_put_between_its_markers_and_nowhere_else():
    text = "before\n<!-- x -->\nold\n<!-- /x -->\nafter\n"
    assert replaced(text, "x", "new", "page") == text.replace("old", "new")
    assert replaced(replaced(text, "x", "new", "page"), "x", "new", "page") == text.replace(
        "old", "new"
    )


@pytest.mark.parametrize("text", ["", "<!-- x -->", "<!-- /x --><!-- x -->", "<!-- x -->" * 2])
def test_markers_that_are_not_there_are_an_error(text):
    with pytest.raises(DataError, match="page: expected <!-- x -->"):
        replaced(text, "x", "new", "page")


def test_the_pages_have_their_markers():
    for name, markers in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        for marker in markers:
            assert replaced(text, marker, "", name)


GROWTH = [record("unrolled float32", 0.1, part="plot", case="N", at=[n]) for n in (8, 16)]


def test_sizes_of_ones_own_have_a_table_of_their_own():
    own = [replace(each, case="H=7,V=9") for each in RESULTS.records if each.part == "step"]
    alone = blocks(Results(MACHINE, own))
    assert alone.keys() == {"bench-shapes"}
    row = alone["bench-shapes"].splitlines()[-1]
    assert row == (
        "| H=7,V=9 | lstm | 200.00 ms | 500.00 ms | 2.50x | 100.00 ms | 400.00 ms | 4.00x |"
    )
    no_peer = [each for each in own if not each.setting.startswith("torch")]  # nothing to tell
    assert blocks(Results(MACHINE, no_peer)) == {}
    both = blocks(Results(MACHINE, [*RESULTS.records, *own]))
    assert both == blocks(RESULTS) | alone


def test_what_was_not_measured_stays_on_the_pages():
    text = blocks(RESULTS)
    assert text.keys() == {"bench-machine", "bench-reached", "bench-all", "bench-summary"}
    assert blocks(Results(MACHINE, GROWTH)).keys() == {"bench-growth"}
    both = blocks(Results(MACHINE, [*RESULTS.records, *GROWTH]))
    assert both == text | blocks(Results(MACHINE, GROWTH))
    assert set().union(*PAGES.values()) == both.keys() | {"bench-elsewhere", "bench-shapes"}


def test_another_machine_has_a_block_of_its_own_and_the_picture():
    everything = Results(MACHINE, [*RESULTS.records, *GROWTH])
    told = blocks(everything, elsewhere=True)
    assert told.keys() == {"bench-elsewhere", "bench-growth"}
    said = machine(RESULTS, ("step", "decode", "epoch"))
    assert told["bench-elsewhere"] == f"{said}\n\n{markdown(reached(RESULTS))}"
    assert told["bench-growth"] == blocks(everything)["bench-growth"]


def test_growth_is_reported_as_a_picture_with_its_numbers(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    marked = "<!-- bench-growth -->\nold\n<!-- /bench-growth -->\n"
    for name in PAGES:
        (tmp_path / name).write_text(marked if name.startswith("docs") else "as it was")
    Results(MACHINE, GROWTH).write(tmp_path / "plot.json")
    report.report([tmp_path / "plot.json"])
    said = capsys.readouterr().out
    assert said == "wrote docs/benchmarks.md\nwrote docs/benchmarks.png\n"
    page = (tmp_path / "docs/benchmarks.md").read_text()
    for words in ("](benchmarks.png)", "rounds (1)", "| N = 16, lstm | 100.0 |"):
        assert words in page
    assert "old" not in page
    assert (tmp_path / "docs/benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_the_machine_is_said():
    slower = Record("step", "d", "lstm", "unrolled numpy", [0.3, 0.3, 0.4])
    failed = Record("step", "d", "lstm", "torch compiled float32", why="no compiler")
    said = machine(Results(MACHINE, [*RESULTS.records, slower, failed]), ("step", "decode"))
    for words in ("A CPU", "amx_bf16", "2 threads", "rounds (1 to 3)", "wall", "numpy 2.4"):
        assert words in said
