"""The benchmark's course: everybody does the same work, in turn, or is named for doing another."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest

from unrolled import kernels
from unrolled.errors import InputError, UnrolledError
from unrolled.jobs.bench import Measuring, Plan, Results, Setting, measure, ours_alone
from unrolled.jobs.bench.cases import (
    CASES,
    Shape,
    Sizes,
    decoding,
    flickr8k_captions,
    flickr8k_epoch,
    made_step,
)
from unrolled.jobs.bench.ours import decode, epoch, reference, step
from unrolled.jobs.bench.processes import CLOCKS, Processes, take_memory, take_time
from unrolled.jobs.events import Note

SMALL = Shape(6, 5, Sizes(8, 16, 16, 40), 0.7)
QUICK = Plan(parts=("step",), cases=("a",), rounds=2, threads=1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Case a, much smaller."""
    monkeypatch.setattr("unrolled.jobs.bench.cases.CASES", CASES | {"a": SMALL})


def right(work):
    return lambda: reference(work)


def wrong(work):
    return lambda: 1.01 * reference(work)


def failing(work):
    raise RuntimeError("no such library\nin two lines")


def environment(work):
    """Give the loss, but only where one thread was asked for."""
    assert os.environ["OMP_NUM_THREADS"] == os.environ["UNROLLED_THREADS"] == "1"
    assert os.environ["MINE"] == "yes"
    if hasattr(os, "sched_getaffinity"):
        assert len(os.sched_getaffinity(0)) == 1
    return right(work)


def only(*chosen):
    return lambda _work: chosen


def ended(settings, plan=QUICK):
    *events, results = measure(plan, settings)
    assert isinstance(results, Results)
    return events, results


def test_all_our_settings_do_the_work(monkeypatch):
    events, results = ended(ours_alone)
    names = [record.setting for record in results.records]
    if kernels.compiled() is not None:
        assert names[:2] == ["unrolled float32", "unrolled bfloat16"]
    assert names[-1] == "unrolled numpy"
    assert all(len(r.values) == 2 and min(r.values) > 0 for r in results.records)
    assert not [event for event in events if isinstance(event, Note)]
    told = [event.what.split(", ") for event in events if isinstance(event, Measuring)]
    turns = [words[2] for words in told if words[1].startswith("round")]
    assert turns == names * 2  # in turn, round after round
    assert results.machine["threads"] == 1


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_both_precisions_come_to_the_loss_in_float64(cell):
    work = made_step("a", SMALL, cell)
    assert step(work, "float32")() == pytest.approx(reference(work), rel=1e-5)
    assert step(work, "bfloat16")() == pytest.approx(reference(work), rel=1e-2)


def test_other_work_is_an_error_that_names_it():
    settings = only(Setting("right", "here", right, 1e-4), Setting("wrong", "here", wrong, 1e-4))
    with pytest.raises(InputError, match=r"step a lstm: wrong comes to a loss of .* other work"):
        ended(settings)


def test_what_cannot_run_is_left_out_with_the_reason():
    settings = only(Setting("failing", "here", failing, 0), Setting("right", "here", right, 1e-4))
    events, results = ended(settings)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert note == "step a lstm: failing is left out: RuntimeError: no such library"
    left, kept = results.records
    assert (left.values, left.why) == ([], "RuntimeError: no such library")
    assert len(kept.values) == 2


def killed(work):
    os._exit(9)


def test_a_process_that_is_killed_is_told_and_the_others_go_on():
    settings = only(Setting("killed", "mine", killed, 0), Setting("right", "here", right, 1e-4))
    events, results = ended(settings)
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert "the process of killed came to an end" in note
    assert [len(record.values) for record in results.records] == [0, 2]


def test_a_process_that_never_begins_is_told(monkeypatch):
    monkeypatch.setattr("unrolled.jobs.bench.processes._begin", os._exit)
    with Processes(3) as processes:
        for _ in range(2):
            with pytest.raises(UnrolledError, match="the process of never came to an end"):
                processes.call(Setting("never", "here", right, 0), os.getpid)


def test_a_process_has_its_environment_and_as_many_cores_as_threads():
    before = dict(os.environ)
    _, results = ended(only(Setting("mine", "here", environment, 1e-4, {"MINE": "yes"})))
    assert results.records[0].why == ""
    assert dict(os.environ) == before


def test_settings_of_a_process_share_it_and_others_do_not():
    one, same, other = (Setting(name, name[0], right, 0) for name in ("ab", "ac", "bc"))
    with Processes(1) as processes:
        pids = [processes.call(setting, os.getpid) for setting in (one, same, other)]
    assert pids[0] == pids[1] != pids[2]
    assert os.getpid() not in pids


@pytest.mark.parametrize(
    ("seconds", "runs", "taken"),
    [
        ([1.0], 1, 1.0),  # slow
        ([0.2, 0.1], 2, 0.1),  # the first wakes and fills, and does not count
        ([0.1, 0.02, 0.09, 0.03, 0.5], 5, 0.06),
    ],
)
def test_a_quick_run_is_repeated_for_a_turn_and_its_first_does_not_count(
    monkeypatch, seconds, runs, taken
):
    made = [0.0]
    monkeypatch.setitem(CLOCKS, "made", lambda: sum(made))
    left = iter(seconds)
    run = {"x": lambda: made.append(next(left))}
    monkeypatch.setattr("unrolled.jobs.bench.processes._runs", run)
    assert take_time("x", "made") == pytest.approx(taken)
    assert len(made) - 1 == runs


def holds(megabytes):
    def make(work):
        def run():
            np.ones(megabytes << 17).sum()

        return run

    return make


def test_memory_is_what_a_run_takes_above_what_stood_before():
    """Measured where nothing else is: 64 MB come to 64 MB, give or take a few."""
    with Processes(1) as processes:
        setting = Setting("x", "alone", right, 0)
        taken = processes.call(setting, peak_of_64)
    assert 60e6 < taken < 80e6


def peak_of_64():
    work = made_step("a", SMALL, "rnn")
    return take_memory(holds(64), work, work)


def test_memory_is_measured_of_steps_and_of_decoding():
    plan = Plan(parts=("memory",), cases=("a",), threads=1, quick=True)
    *_, results = measure(plan, only(Setting("right", "here", works_hard, 0)))
    assert [(r.part, r.case, len(r.values)) for r in results.records] == [
        ("memory", "a", 1),
        ("memory", "greedy", 1),
        ("memory", "beam 5", 1),
    ]


def works_hard(work):
    return holds(8)(work)


def test_decoders_that_say_other_words_are_named(monkeypatch):
    monkeypatch.setattr("unrolled.jobs.bench.plan.decoding", few_rows)
    settings = only(Setting("a", "here", says_a, 0), Setting("b", "here", says_b, 0.5))
    with pytest.raises(InputError, match="greedy lstm: b comes to 2 of 3 other captions"):
        list(measure(Plan(parts=("decode",), rounds=1, threads=1), settings))


def few_rows(width, count):
    return decoding(width, 3)


def says_a(work):
    return lambda: [(1,), (2,), (3,)]


def says_b(work):
    return lambda: [(1,), (3,), (2,)]


def test_our_greedy_decoding_says_the_likeliest_word_but_those_never_said():
    work = decoding(1, 3)
    model = work.model()
    null, start, end = (model.word_to_idx[w] for w in ("<NULL>", "<START>", "<END>"))
    never = [null, start, model.word_to_idx["<UNK>"]]
    said = []
    for row in work.features[0]:
        state, words = model.start(row[None]), [start]
        while len(words) <= 30 and words[-1] != end:
            scores, state = model.step(np.array(words[-1:]), state)
            scores[:, never] = -np.inf
            words.append(int(scores.argmax()))
        said.append(tuple(w for w in words if w not in (start, end)))
    assert decode(work, "float32")() == said


def test_an_epoch_trains_and_comes_to_a_loss_that_another_precision_comes_to_too():
    captions = np.minimum(flickr8k_captions(None)[0][:640], 39)
    work = replace(flickr8k_epoch(captions, 40, "rnn"), sizes=Sizes(1280, 16, 32, 40))
    one, other = (epoch(work, precision)() for precision in ("float32", "bfloat16"))
    before = reference(replace(work, features=(work.features[0][work.rows],)))
    assert one == pytest.approx(before * len(captions) / work.tokens, rel=0.05)  # five steps on
    assert other == pytest.approx(one, rel=0.05)
    assert epoch(work, "float32")() == one


def test_the_clock_of_the_cpu_is_there():
    assert CLOCKS["cpu"] is time.process_time
