"""Photos per second through the encoder, against the reference implementation in PyTorch.

Interleaved rounds on the same pinned cores: in every round each setting encodes the same photos
once; the medians over the rounds are printed, and the peer counts with its best setting.

    python benchmarks/encoder.py --encoder lite0 --threads 2 --rounds 7
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import metadata, resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from unrolled.vision import ENCODERS, Encoder, load_photo

PEER_BATCHES = (1, 4, 8, 16, 32)
OUR_BATCHES = (1, 8, 32)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="lite0", choices=list(ENCODERS))
    parser.add_argument("--threads", type=int, default=2, help="cores to pin and use (default: 2)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=32, help="photos in a round (default: 32)")
    parser.add_argument("--photos", type=Path, help="a folder of photos (default: made here)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


def pin(threads: int) -> str:
    """Hold this process to so many cores, where the platform can."""
    if not hasattr(os, "sched_setaffinity"):
        return f"{threads} threads, not pinned (this platform cannot)"
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    return f"{threads} threads pinned to cores {', '.join(map(str, cores))}"


def cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def photo_files(args: argparse.Namespace, size: int, folder: Path) -> list[Path]:
    if args.photos:
        found = sorted(args.photos.glob("*.jpg"))[: args.count]
        if len(found) < args.count:
            raise SystemExit(f"error: {args.photos}: {len(found)} JPEGs, expected {args.count}")
        return found
    rng = np.random.default_rng(0)
    paths = []
    for index in range(args.count):
        coarse = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        paths.append(folder / f"{index}.jpg")
        image.save(paths[-1], quality=92)
    return paths


def peer_runs(name: str, photos: np.ndarray, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """The reference at each batch size and memory layout, from normalised floats."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    torch.set_num_threads(threads)
    spec = ENCODERS[name]
    file = resources.files(spec.package) / "models" / spec.file
    inputs = torch.from_numpy(((photos.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2))

    def run(network: torch.nn.Module, batches: tuple[torch.Tensor, ...]) -> np.ndarray:
        with torch.inference_mode():
            grids = (network.extract_features(batch) for batch in batches)
            return torch.cat([network._avg_pooling(grid).flatten(1) for grid in grids]).numpy()

    runs: dict[str, Callable[[], np.ndarray]] = {}
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    for layout, memory_format in layouts.items():
        with contextlib.redirect_stdout(io.StringIO()):  # the peer prints
            network = EfficientNet.from_pretrained(f"efficientnet-{name}", weights_path=str(file))
        network = network.eval().to(memory_format=memory_format)
        laid_out = inputs.contiguous(memory_format=memory_format)
        for size in PEER_BATCHES:
            batches = laid_out.split(size)
            runs[f"PyTorch {layout}, batch {size}"] = lambda n=network, b=batches: run(n, b)
    return runs


def our_runs(
    encoder: Encoder, photos: np.ndarray, paths: list[Path]
) -> dict[str, Callable[[], np.ndarray]]:
    def pixels(size: int) -> np.ndarray:
        starts = range(0, len(photos), size)
        return np.concatenate([encoder.encode(photos[at : at + size]).pooled for at in starts])

    def files() -> np.ndarray:
        return np.stack([result.pooled for result in encoder.features(paths)])

    runs: dict[str, Callable[[], np.ndarray]] = {
        f"Unrolled, batch {size}": lambda size=size: pixels(size) for size in OUR_BATCHES
    }
    return {**runs, "Unrolled, from JPEG files": files}


class Seconds(NamedTuple):
    """Of one run: on the clock, and of all cores together."""

    wall: float
    cpu: float


def measure(runs: dict[str, Callable[[], np.ndarray]], rounds: int) -> dict[str, list[Seconds]]:
    """Time each run in each round, after one round that is not counted."""
    seconds: dict[str, list[Seconds]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if number > 0:
                spent = Seconds(time.perf_counter() - wall, time.process_time() - cpu)
                seconds[name].append(spent)
    return seconds


def check_equal(runs: dict[str, Callable[[], np.ndarray]]) -> float:
    """The least cosine similarity of any run's features with the first's."""
    first, *others = [run().astype(np.float64) for run in runs.values()]
    norm = np.linalg.norm
    return min(
        float(((first * other).sum(1) / norm(first, axis=1) / norm(other, axis=1)).min())
        for other in others
    )


def main() -> None:
    args = arguments()
    pinned = pin(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        encoder = Encoder.load(args.encoder, threads=args.threads)
        (size,) = encoder.sizes
        paths = photo_files(args, size, Path(folder))
        photos = np.stack([load_photo(path, size) for path in paths])
        ours = our_runs(encoder, photos, paths)
        runs = {**ours, **peer_runs(args.encoder, photos, args.threads)}
        cosine = check_equal(runs)
        seconds = measure(runs, args.rounds)

    rates = {n: args.count / statistics.median(t.wall for t in ts) for n, ts in seconds.items()}
    peer = max((name for name in rates if name not in ours), key=rates.__getitem__)
    versions = {name: metadata.version(name) for name in ("onnxruntime", "torch", "numpy")}
    print(f"{args.encoder} at {size} px, float32; {cpu()}; {pinned}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{args.count} photos, medians of {args.rounds} interleaved rounds; ", end="")
    print(f"least cosine similarity of any two settings' features {cosine:.7f}")
    print("CPU is the time of all cores together, which other programs disturb less.\n")
    print(f"{'setting':<36}{'photos/s':>10}{'x peer':>8}{'ms/photo':>10}{'CPU ms/photo':>14}")
    for name, rate in sorted(rates.items(), key=lambda item: -item[1]):
        spent = 1000 * statistics.median(t.cpu for t in seconds[name]) / args.count
        print(f"{name:<36}{rate:>10.1f}{rate / rates[peer]:>8.2f}{1000 / rate:>10.1f}", end="")
        print(f"{spent:>14.1f}{'  <- peer at its best' if name == peer else ''}")
    if args.json:
        figures = {"cpu": cpu(), "threads": pinned, "versions": versions, "cosine": cosine}
        args.json.write_text(json.dumps({**figures, "photos_per_second": rates}, indent=2) + "\n")


if __name__ == "__main__":
    main()
