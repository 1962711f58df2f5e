"""The precision "auto": resolved by the kernels that run and the model's width, and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unrolled import CaptioningRNN, kernels
from unrolled.errors import InputError
from unrolled.layers.precision import choose_precision

WORDS = {"<NULL>": 0, "<START>": 1, "<END>": 2}
RESOLVE = """
from unrolled import CaptioningRNN
words = {"<NULL>": 0, "<START>": 1, "<END>": 2}
for width in (63, 64):
    model = CaptioningRNN(words, 4, 4, width, "lstm", precision="auto")
    print(model.precision, model.config["precision"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the CPU's maker")
@pytest.mark.parametrize("path", kernels.PATHS)
def test_a_forced_path_decides(path):
    """From 64 wide on AMX gains, and the dot product of an AMD core; nothing else does."""
    if path != "numpy":
        extension = pytest.importorskip("unrolled.kernels._compiled")
        if extension.find(path)[0] is None:
            pytest.skip(f"{path} cannot run here")
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE],
        env=os.environ | {"UNROLLED_KERNELS": path},
        capture_output=True,
        text=True,
        check=True,
    )
    cpu = Path("/proc/cpuinfo").read_text("utf-8")
    dot_gains = "AuthenticAMD" in cpu and "avx512_bf16" in cpu
    gains = path == "amx" or (path == "avx512" and dot_gains)
    wide = "bfloat16" if gains else "float32"
    assert done.stdout.split() == ["float32", "float32", wide, wide]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_said_aloud_is_taken(precision):
    assert choose_precision("test", precision, 512) == precision
    assert CaptioningRNN(WORDS, 4, 4, 8, precision=precision).precision == precision


def test_another_is_refused_with_all_there_are():
    with pytest.raises(InputError, match="one of auto, float32, bfloat16, got 'fast'"):
        CaptioningRNN(WORDS, 4, 4, 8, precision="fast")
