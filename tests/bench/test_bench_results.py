"""A benchmark's results: kept as JSON, and the ratios and tables they come to."""

import json

import pytest

from unrolled.errors import DataError, InputError
from unrolled.jobs.bench import Record, Results
from unrolled.jobs.bench.growth import curves, figure
from unrolled.jobs.bench.results import best
from unrolled.jobs.bench.tables import growth, tables

MACHINE = {"clock": "wall", "threads": 2}


def record(setting, *values, part="step", case="a", flops=1e9, units=100, at=()):
    return Record(part, case, "lstm", setting, list(values), flops, units, list(at))


RESULTS = Results(
    MACHINE,
    [
        record("unrolled numpy", 0.01, 0.02, part="limit", at=(5, 6, 7), flops=2e9),
        record("torch float32", 0.04, part="limit", at=(9, 9, 9), flops=12e9),
        record("unrolled bfloat16", 0.01, 0.002, 0.01, part="limit", at=(5, 6, 7), flops=8e9),
        record("unrolled float32", 0.4, 0.2, 0.1),
        record("unrolled bfloat16", 0.01, 0.025, 0.08),
        record("torch packed float32", 0.1, 0.1, 0.7),
        record("torch all float32", 0.3, 0.1, 0.2),
        Record("step", "a", "lstm", "torch compile float32", why="no compiler"),
        record("unrolled float32", 2**20, part="memory"),
        record("unrolled float32", 0.5, part="decode", case="greedy", flops=0, units=1000),
        *(record("unrolled float32", n / 100, part="plot", case="N", at=(n,)) for n in (8, 16)),
    ],
)


def test_results_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "bench.json"
    RESULTS.write(path)
    assert Results.read([path]) == RESULTS


def test_of_what_was_measured_twice_the_later_file_counts(tmp_path):
    RESULTS.write(tmp_path / "one.json")
    again = record("unrolled float32", 9.0)
    Results(MACHINE | {"threads": 1}, [again]).write(tmp_path / "two.json")
    both = Results.read([tmp_path / "one.json", tmp_path / "two.json"])
    assert len(both.records) == len(RESULTS.records)
    assert both.records[3] == again
    assert both.machine["threads"] == 1


def test_the_cells_of_a_case_stand_together_whichever_files_they_are_from(tmp_path):
    steps = [(case, cell) for cell in ("lstm", "rnn") for case in "ab"]
    for number, (case, cell) in enumerate(steps):
        one = Results(MACHINE, [Record("step", case, cell, "unrolled numpy", [1.0])])
        one.write(tmp_path / f"{number}.json")
    both = Results.read(sorted(tmp_path.glob("*.json")))
    assert both.cases("step") == [("a", "lstm"), ("a", "rnn"), ("b", "lstm"), ("b", "rnn")]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": {}, "records": [{"wrong": 1}]}'])
def test_a_file_that_is_no_benchmark_is_an_error_with_its_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"other.json: expected what `unrolled bench --json`"):
        Results.read([path])


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        RESULTS.write(tmp_path / "none" / "bench.json")


def test_the_limit_is_the_best_median_rate_whoever_reached_it():
    assert RESULTS.limit("a", "lstm", "float32") == 12e9 / 0.04
    assert RESULTS.limit("a", "lstm", "bfloat16") == 8e9 / 0.01


def test_the_best_is_of_medians():
    peers = RESULTS.of("step")
    found = best(peers, lambda name: name.startswith("torch"))
    assert (found.setting, found.middle) == ("torch packed float32", 0.1)
    assert best(peers, lambda name: name.startswith("jax")) is None


def test_the_tables_say_medians_shares_of_the_limit_and_ratios():
    limit, step, decode, plot, memory = tables(RESULTS)
    assert limit.rows[0] == ("a lstm", "float32", "300", "torch float32", "9 x 9 x 9")
    rows = {row[1]: row for row in step.rows}
    assert rows["unrolled bfloat16"] == (
        "",
        "unrolled bfloat16",
        "25.00",
        "10.00",
        "4,000 tokens",
        "40",
        "5%",  # 40 of 800
        "4.00",
    )
    assert rows["torch packed float32"][-1] == "1.00"
    assert "torch compile float32" not in rows
    assert decode.rows[0][2:] == ("500.00", "500.00", "2,000 captions", "", "", "")
    assert memory.rows == [("a lstm", "unrolled float32", "1.0")]
    assert plot.rows == [("N = 8, lstm", "80.0"), ("N = 16, lstm", "160.0")]


def test_cpu_time_is_called_by_its_name():
    results = Results({"clock": "cpu"}, RESULTS.records)
    assert all("CPU ms" in t.headings for t in tables(results) if "ms" in " ".join(t.headings))


def growing(cell="lstm"):
    medians = {
        "unrolled bfloat16": (1, 2),
        "unrolled float32": (2, 4),
        "unrolled numpy": (3, 6),
        "assignment's usual": (9,),
        "torch valid float32": (5, 9),
        "torch packed float32": (6, 8),
        "torch all bfloat16": (4, 7),
    }
    for case, places in (("N", (32, 8)), ("V", (100, 1000))):
        for name, values in medians.items():
            for place, value in zip(sorted(places), values, strict=False):
                yield Record("plot", case, cell, name, [value / 1e3] * 3, at=[place])


def test_a_curve_of_a_peer_is_its_best_of_a_precision_at_each_place():
    records = list(growing())[::-1]
    left_out = Record("plot", "N", "lstm", "torch all float32", why="it fails", at=[8])
    found = {(each.axis, each.name): each for each in curves(Results({}, [*records, left_out]))}
    names = {name for _, name in found}
    assert names == {
        *("unrolled bfloat16", "unrolled float32", "unrolled numpy", "assignment's usual"),
        *("torch's best float32", "torch's best bfloat16"),
    }
    assert found["N", "torch's best float32"].seconds == {8: 0.005, 32: 0.008}
    assert list(found["N", "torch's best float32"].seconds) == [8, 32]
    assert found["V", "assignment's usual"].seconds == {100: 0.009}


def test_growth_is_told_by_place_and_curve():
    table = growth(Results(MACHINE, list(growing("rnn"))))
    assert table.headings[:4] == ("case", "unrolled bfloat16", "unrolled float32", "unrolled numpy")
    assert [row[0] for row in table.rows][:2] == ["N = 8, rnn", "N = 32, rnn"]
    assert table.rows[3] == ("V = 1,000, rnn", "2.0", "4.0", "6.0", "", "8.0", "7.0")


def test_the_picture_has_a_panel_of_every_axis_and_a_line_of_every_curve():
    pytest.importorskip("matplotlib")
    drawing = figure(Results(MACHINE, [*growing("lstm"), *growing("rnn")]))
    labels = [(panel.get_xlabel(), panel.get_ylabel()) for panel in drawing.axes]
    assert labels == [
        ("captions in a batch", "milliseconds a step, LSTM"),
        ("words in the vocabulary", ""),
        ("captions in a batch", "milliseconds a step, RNN"),
        ("words in the vocabulary", ""),
    ]
    for panel in drawing.axes:
        assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
        lines = {line.get_label(): line for line in panel.get_lines()}
        assert len(lines) == 6
    assert lines["torch's best float32"].get_xydata().tolist() == [[100, 5], [1000, 8]]
    looks = [(line.get_color(), line.get_linestyle()) for line in lines.values()]
    assert len(set(looks)) == 6  # told apart, and by colour whose they are
    assert len({color for color, _ in looks}) == 3
    names = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert names == list(lines)


def test_nothing_to_draw_is_an_error():
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="--only plot"):
        figure(Results(MACHINE, []))


def test_json_says_how_it_was_measured(tmp_path):
    path = tmp_path / "bench.json"
    RESULTS.write(path)
    told = json.loads(path.read_text())
    assert told["machine"] == MACHINE
    assert told["records"][3]["values"] == [0.4, 0.2, 0.1]
