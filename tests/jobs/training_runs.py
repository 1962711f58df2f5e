"""What the tests of training runs share: to run until a step, and to compare two runs."""

from commands import files
from unrolled.jobs.train import Started, train_run
from unrolled.training import StepDone, read_log

KEPT = ("model.safetensors", "optimizer.safetensors", "state.json", "vocab.json")


def of_kind(kind, events):
    return [event for event in events if isinstance(event, kind)]


def run_until(step, config, out, **options):
    """Run until that many steps are done, then stop as Ctrl-C does; gives back the events."""
    done = 0

    def stop():
        return done >= step

    events = []
    for event in train_run(config, out, stop=stop, **options):
        events.append(event)
        done = event.step if isinstance(event, (Started, StepDone)) else done
    return events


def assert_same_run(one, other):
    """Equal bits in what was learnt, and the same story in the logs but for the clock."""
    for kind in ("best", "last"):
        first, second = files(one / kind), files(other / kind)
        assert set(first) == set(second)
        for name in set(KEPT) & set(first):
            assert first[name] == second[name], f"{kind}/{name}"
    assert story(one) == story(other)


def story(run):
    """Give the steps and epochs of a run's log, but for the clock."""
    records = [r for r in read_log(run / "log.jsonl") if r["event"] in ("step", "epoch")]
    return [{k: v for k, v in r.items() if k != "tokens_per_second"} for r in records]
