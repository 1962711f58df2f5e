"""A benchmark's results: kept as JSON, and the ratios and tables they come to."""

import json

import pytest

from unrolled.errors import DataError, InputError
from unrolled.jobs.bench import Record, Results
from unrolled.jobs.bench.picture import figure
from unrolled.jobs.bench.results import best
from unrolled.jobs.bench.tables import tables

MACHINE = {"clock": "wall", "threads": 2}


def record(setting, *values, part="step", case="a", flops=1e9, units=100, at=()):
    return Record(part, case, "lstm", setting, list(values), flops, units, list(at))


RESULTS = Results(
    MACHINE,
    [
        record("unrolled numpy", 0.01, 0.02, part="limit", at=(5, 6, 7), flops=2e9),
        record("torch float32", 0.04, part="limit", at=(9, 9, 9), flops=12e9),
        record("unrolled bfloat16", 0.01, part="limit", at=(5, 6, 7), flops=8e9),
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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": {}, "records": [{"wrong": 1}]}'])
def test_a_file_that_is_no_benchmark_is_an_error_with_its_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"other.json: expected what `unrolled bench --json`"):
        Results.read([path])


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        RESULTS.write(tmp_path / "none" / "bench.json")


def test_the_limit_is_the_best_rate_whoever_reached_it():
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
    assert [row[0] for row in plot.rows] == ["N 8 lstm", "N 16 lstm"]


def test_cpu_time_is_called_by_its_name():
    results = Results({"clock": "cpu"}, RESULTS.records)
    assert all("CPU ms" in t.headings for t in tables(results) if "ms" in " ".join(t.headings))


def test_the_picture_has_an_axis_of_every_kind_and_a_line_of_every_setting():
    pytest.importorskip("matplotlib")
    more = [record("torch float32", n / 50, part="plot", case="V", at=(n,)) for n in (8, 16)]
    drawing = figure(
        Results(
            MACHINE,
            [
                *RESULTS.records,
                *more,
                *(record("unrolled float32", 0.1, part="plot", case="V", at=(n,)) for n in (8, 16)),
            ],
        )
    )
    labels = [panel.get_xlabel() for panel in drawing.axes]
    assert labels == ["captions in a batch", "words in the vocabulary"]
    (line,) = drawing.axes[0].get_lines()
    assert line.get_xydata().tolist() == [[8, 80], [16, 160]]
    assert len(drawing.axes[1].get_lines()) == 2
    names = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert sorted(names) == ["torch float32", "unrolled float32"]


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
