"""A log survives kills: torn lines are mended, repeated steps are read once."""

import json

import pytest
import tiny_run
from tiny_run import SETTINGS, all_bytes, go_on, start

from unrolled.errors import DataError
from unrolled.training import TrainingConfig, event_record, open_log, read_log


def write(path, events):
    with open_log(path) as log:
        for event in events:
            log.write(json.dumps(event_record(event)) + "\n")


def told(records):
    """Steps and epochs of a log, but for the clock."""
    kept = [record for record in records if record["event"] in ("step", "epoch")]
    return [{k: v for k, v in record.items() if k != "tokens_per_second"} for record in kept]


@pytest.mark.parametrize("events_before_kill", range(1, 16))
def test_a_log_with_a_kill_in_it_reads_like_one_without(tmp_path, monkeypatch, events_before_kill):
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    config = TrainingConfig(**SETTINGS, save_every_steps=3)
    expected = list(start(tmp_path / "whole", config))
    write(tmp_path / "whole.jsonl", expected)
    log, folder = tmp_path / "killed.jsonl", tmp_path / "killed"
    events = start(folder, config)
    write(log, [next(events) for _ in range(events_before_kill)])
    with log.open("a") as torn:
        torn.write('{"event": "step", "epo')
    begin = go_on if (folder / "last").exists() else start
    write(log, begin(folder, config))
    assert told(read_log(log)) == told(read_log(tmp_path / "whole.jsonl"))
    assert len(told(read_log(log))) == tiny_run.STEPS + 2
    assert all_bytes(folder) == all_bytes(tmp_path / "whole")


def test_lines_are_written_at_once(tmp_path):
    with open_log(tmp_path / "log.jsonl") as log:
        log.write('{"event": "step", "step": 1}\n')
        assert read_log(tmp_path / "log.jsonl") == [{"event": "step", "step": 1}]


def test_an_epoch_told_twice_counts_once(tmp_path):
    """Killed after the epoch was told and the best was saved, but before the last was."""
    records = [
        {"event": "step", "step": 4},
        {"event": "saved", "step": 4, "kind": "last"},
        {"event": "epoch", "step": 4, "seen": 1},
        {"event": "saved", "step": 4, "kind": "best"},
        {"event": "epoch", "step": 4, "seen": 2},
        {"event": "saved", "step": 4, "kind": "best"},
        {"event": "saved", "step": 4, "kind": "last"},
        {"event": "finished", "step": 4},
    ]
    (tmp_path / "log").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert read_log(tmp_path / "log") == [*records[:2], *records[4:]]


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", "3", '{"event": "step"}', '{"event": 1, "step": 1}', "[" * 100_000]
)
def test_a_line_that_is_no_record(tmp_path, line):
    (tmp_path / "log").write_text('{"event": "step", "step": 1}\n' + line + "\n")
    with pytest.raises(DataError, match=r"log: line 2: expected a JSON object .* got .*Remove"):
        read_log(tmp_path / "log")


def test_logs_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match="the log cannot be read"):
        read_log(tmp_path / "missing")
    with pytest.raises(DataError, match="the log cannot be opened"):
        open_log(tmp_path)
    (tmp_path / "empty").touch()
    assert read_log(tmp_path / "empty") == []
