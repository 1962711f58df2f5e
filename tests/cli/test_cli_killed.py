"""``unrolled train`` in a process of its own, stopped in its midst by Ctrl-C, and by a kill."""

import os
import signal
import time

import pytest

from commands import CODE, call, call_here, files, start
from small_world import FLAGS, read_events
from unrolled.captioner import Captioner
from unrolled.training import read_log

EPOCHS, STEPS = 10, 40
SLOWLY = (
    "import time, unrolled.plots\n"
    "unrolled.plots.plot_run = lambda *arguments, **options: time.sleep(0.2)\n"
)
"""An epoch takes long enough to be killed in, and less work than to draw its curves."""


pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are others there")


@pytest.fixture(scope="module")
def flags(flickr8k, store):
    return ("--data", flickr8k, "--features", store, *FLAGS, "--epochs", EPOCHS)


@pytest.fixture(scope="module")
def whole(flags, tmp_path_factory):
    """The run that was never stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert call_here("train", "--out", out, *flags) == 0
    return out


def stop_at(step, how, *arguments):
    """Train in a process of its own until its log tells of a step; then stop it."""
    out = arguments[arguments.index("--out") + 1]
    process = start("train", *arguments, code=SLOWLY + CODE)
    log = out / "log.jsonl"
    try:
        while not (log.exists() and f'"step": {step},' in log.read_text("utf-8")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.send_signal(how)
        said, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert said == ""
    return process.returncode, err


def assert_as_whole(out, whole):
    """The same bits as the run that was never stopped, and a log that tells of each step once."""
    for kind in ("best", "last"):
        one, other = files(out / kind), files(whole / kind)
        assert set(one) == set(other)
        for name in ("model.safetensors", "optimizer.safetensors", "state.json", "vocab.json"):
            assert one.get(name) == other.get(name), f"{kind}/{name}"
    stories = [
        [
            {key: value for key, value in record.items() if key != "tokens_per_second"}
            for record in read_log(run / "log.jsonl")
            if record["event"] in ("step", "epoch")
        ]
        for run in (out, whole)
    ]
    assert stories[0] == stories[1]
    assert [r["step"] for r in stories[0] if r["event"] == "step"] == list(range(1, STEPS + 1))
    assert [r["epoch"] for r in stories[0] if r["event"] == "epoch"] == list(range(1, EPOCHS + 1))
    assert not list(out.glob(".*"))


def test_ctrl_c_saves_and_says_how_to_go_on(cli, flags, whole, tmp_path):
    out = tmp_path / "my run"
    code, err = stop_at(6, signal.SIGINT, "--out", out, *flags)
    assert code == 130, err
    assert "Traceback" not in err
    assert "stopping after this step" in err
    assert err.endswith(f"stopped and saved. Go on with: unrolled train --out '{out}' --resume\n")
    assert read_events(out)[-1]["reason"] == "interrupted"
    stopped_at = Captioner.load(out / "last").card["step"]
    assert 6 <= stopped_at < STEPS
    said = cli("train", "--out", out, "--resume")
    assert said.code == 0, said.err
    assert f"going on after step {stopped_at}\n" in said.err
    assert_as_whole(out, whole)


def test_ctrl_c_may_come_while_a_line_is_being_written(flags, whole, tmp_path):
    out = tmp_path / "run"
    code = (
        "import io, os, signal, sys\n"
        "class Interrupted(io.FileIO):\n"
        "    def write(self, line):\n"
        "        if b'epoch 1:' in bytes(line): os.kill(os.getpid(), signal.SIGINT)\n"
        "        return super().write(line)\n"
        "stderr = io.BufferedWriter(Interrupted(2, 'w', closefd=False))\n"
        f"sys.stderr = io.TextIOWrapper(stderr)\n{CODE}"
    )
    said = call("train", "--out", out, *flags, code=code)
    assert said.code == 130, said.err
    assert "stopping after this step" in said.err
    assert "\nstopped and saved. Go on with: " in said.err
    assert call_here("train", "--out", out, "--resume") == 0
    assert_as_whole(out, whole)


@pytest.mark.parametrize("step", [1, 14])
def test_a_kill_loses_nothing_but_time(flags, whole, tmp_path, step):
    out = tmp_path / "run"
    code, err = stop_at(step, signal.SIGKILL, "--out", out, *flags)
    assert code == -signal.SIGKILL, err
    assert Captioner.load(out / "last").card["step"] < STEPS
    with (out / "log.jsonl").open("a") as log:
        log.write('{"event": "step", "epo')  # a kill may tear a line, too
    assert call_here("train", "--out", out, "--resume") == 0
    assert all(isinstance(record, dict) for record in read_events(out))
    assert_as_whole(out, whole)


def test_told_twice_it_stops_at_once_and_what_was_saved_is_gone_on_from(flags, whole, tmp_path):
    """Both come while the second epoch is scored, which the first one waits for."""
    out = tmp_path / "run"
    code = (
        f"{SLOWLY}import os, signal\n"
        "from unrolled.metrics import ReferenceSet\n"
        "plain, calls = ReferenceSet.score, iter(range(9))\n"
        "def score(self, *arguments, **options):\n"
        "    if next(calls) == 2:  # the first is a trial, before the first step\n"
        "        for s in (signal.SIGTERM, signal.SIGINT): os.kill(os.getpid(), s)\n"
        "    return plain(self, *arguments, **options)\n"
        f"ReferenceSet.score = score\n{CODE}"
    )
    said = call("train", "--out", out, *flags, code=code)
    assert said.code == 130
    assert "Traceback" not in said.err
    assert said.err.endswith(f"stopped at once. Go on with: unrolled train --out {out} --resume\n")
    assert Captioner.load(out / "last").card["epoch"] == 1
    assert call_here("train", "--out", out, "--resume") == 0
    assert_as_whole(out, whole)
