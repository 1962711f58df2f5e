"""Write what was measured into the pages: the tables between their markers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from unrolled.errors import DataError
from unrolled.jobs.bench import Record, Results
from unrolled.jobs.bench.cases import has_own_sizes
from unrolled.jobs.bench.growth import figure
from unrolled.jobs.bench.results import COMPILED, best
from unrolled.jobs.bench.tables import Table, growth, tables
from unrolled.plots import save_figure

ROOT = Path(__file__).parents[1]
PICTURE = "benchmarks.png"
PAGES = {
    "docs/benchmarks.md": (
        "bench-machine",
        "bench-reached",
        "bench-elsewhere",
        "bench-shapes",
        "bench-growth",
        "bench-all",
    ),
    "README.md": ("bench-summary",),
    "README.zh-CN.md": ("bench-summary",),
}
TIMED = ("step", "decode", "epoch")
"""Parts whose medians the tables tell."""
DRAWN = ("plot",)
"""The part that a picture tells of."""


def report(
    files: Annotated[list[Path], typer.Argument(help="What `run --json` wrote; later ones count.")],
    elsewhere: Annotated[
        bool,
        typer.Option("--elsewhere", help="Of the machine without AMX: its table and the picture."),
    ] = False,
) -> None:
    """Write what was measured into docs/benchmarks.md and the READMEs; the rest stays there."""
    results = Results.read(files)
    written = blocks(results, elsewhere=elsewhere)
    for name, markers in PAGES.items():
        path = ROOT / name
        before = text = path.read_text(encoding="utf-8")
        for marker in written.keys() & markers:
            text = replaced(text, marker, written[marker], name)
        if text != before:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if "bench-growth" in written:
        save_figure(figure(results), ROOT / "docs" / PICTURE)
        print(f"wrote docs/{PICTURE}")


def blocks(results: Results, *, elsewhere: bool = False) -> dict[str, str]:
    """Make the pages' blocks, by their markers: those for which something was measured."""
    made = {}
    told = _only(results, lambda r: r.part not in DRAWN and not has_own_sizes(r.case))
    own = _only(results, lambda r: r.part == "step" and has_own_sizes(r.case))
    if told.records and elsewhere:
        made["bench-elsewhere"] = f"{machine(told, TIMED)}\n\n{markdown(reached(told))}"
    elif told.records:
        made["bench-machine"] = machine(told, TIMED)
        made["bench-reached"] = markdown(reached(told))
        made["bench-all"] = "\n\n".join(f"### {t.title}\n\n{markdown(t)}" for t in tables(told))
        made["bench-summary"] = markdown(summary(told))
    if (table := shapes(own)).rows:
        made["bench-shapes"] = f"{machine(own, TIMED)}\n\n{markdown(table)}"
    if results.of(*DRAWN):
        picture = f"![Milliseconds of a step by batch, length and vocabulary]({PICTURE})"
        numbers = markdown(growth(results))
        made["bench-growth"] = f"{picture}\n\n{machine(results, DRAWN)}\n\n{numbers}"
    return made


def _only(results: Results, which: Callable[[Record], bool]) -> Results:
    return replace(results, records=[each for each in results.records if which(each)])


def replaced(text: str, marker: str, block: str, where: str) -> str:
    """Put a block between its markers."""
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise DataError(f"{where}: expected {begin} and {end} once each, in this order")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def markdown(table: Table) -> str:
    """Write a table as Markdown."""
    lines = [table.headings, tuple("---" for _ in table.headings), *table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(results: Results, parts: Sequence[str]) -> str:
    """Say where and how parts were measured."""
    told = results.machine
    cpu, threads = told["cpu"], told["threads"]
    libraries = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    seconds = "CPU time" if told["clock"] == "cpu" else "wall time"
    counts = {len(each.values) for part in parts for each in results.of(part)} or {0}
    rounds = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
    return (
        f"{told['made'][:10]}: {cpu['name']} ({' '.join(cpu['instructions'])}), {threads} thread"
        f"{'s' * (threads > 1)} on as many cores, kernels `{told['kernels']['path']}`; medians "
        f"of interleaved rounds ({rounds}), {seconds}; {libraries}."
    )


ASKED = "lstm"
"""The cell that floors and aims are set for; the others' rows stand beside, without."""
SHARED, SHARE_BOUNDS = ("b", "c"), ("40%", "70%")
"""The cases whose share of the limit is told, and its floor and aim."""


class Ratio(NamedTuple):
    """What is to be reached: how many times the peer's median is ours."""

    what: str
    part: str
    ours: Callable[[str], bool]
    peer: Callable[[str], bool]
    floor: float
    aim: float
    cases: tuple[str, ...] = ()


def is_compiled(name: str) -> bool:
    return name in COMPILED


def is_torch(name: str) -> bool:
    return name.startswith("torch")


def is_eager_float32(name: str) -> bool:
    return is_torch(name) and name.endswith("float32") and "compiled" not in name


def is_peer(name: str) -> bool:
    return not name.startswith("unrolled")


RATIOS = (
    Ratio("against PyTorch's best", "step", is_compiled, is_torch, 2.5, 5, ("a",)),
    Ratio("against PyTorch's best", "step", is_compiled, is_torch, 2, 4, ("b", "c", "d")),
    Ratio(
        "float32 against PyTorch eager float32",
        "step",
        "unrolled float32".__eq__,
        is_eager_float32,
        1.7,
        2.5,
    ),
    Ratio(
        "against the assignment's usual solution",
        "step",
        is_compiled,
        "assignment's usual".__eq__,
        40,
        80,
        ("a",),
    ),
    Ratio(
        "without compiled kernels, against PyTorch eager float32",
        "step",
        "unrolled numpy".__eq__,
        is_eager_float32,
        0.7,
        1,
    ),
    Ratio("captions a second against PyTorch's best", "decode", is_compiled, is_torch, 2, 4),
    Ratio(
        "captions a second against ONNX Runtime",
        "decode",
        is_compiled,
        "onnxruntime".__eq__,
        math.nan,
        math.nan,
    ),
    Ratio("epoch against PyTorch's best", "epoch", is_compiled, is_torch, 2, 3),
    Ratio("peak memory of a step, PyTorch's least", "memory", is_compiled, is_torch, 2, 4, ("c",)),
)


def reached(results: Results) -> Table:
    """Hold what was measured to what was aimed at."""
    rows = [*_ratios(results), *_shares(results)]
    headings = ("what", "case", "ours", "peer", "reached", "floor", "aim")
    return Table("What it was to reach", headings, rows)


def _ratios(results: Results) -> Iterator[tuple[str, ...]]:
    for ratio in RATIOS:
        for case, cell in results.cases(ratio.part):
            if ratio.cases and case not in ratio.cases:
                continue
            records = results.of(ratio.part, case, cell)
            ours, peer = best(records, ratio.ours), best(records, ratio.peer)
            if ours and peer:
                times = f"{peer.middle / ours.middle:.2f}x"
                asked = cell == ASKED
                bounds = [_bound(each, "x") if asked else "" for each in (ratio.floor, ratio.aim)]
                said = (_measured(ours), _measured(peer))
                yield (f"{ratio.part}: {ratio.what}", f"{case} {cell}", *said, times, *bounds)


def _shares(results: Results) -> Iterator[tuple[str, ...]]:
    for case, cell in results.cases("step"):
        ours = best(results.of("step", case, cell), is_compiled)
        limit = results.limit(case, cell, "bfloat16")
        if case in SHARED and ours and not math.isnan(limit):
            share = f"{ours.flops / ours.middle / limit:.0%}"
            least = f"{ours.flops / limit * 1e3:.1f} ms at {limit / 1e9:,.0f} GFLOP/s"
            what = "step: share of the bfloat16 limit"
            bounds = SHARE_BOUNDS if cell == ASKED else ("", "")
            yield (what, f"{case} {cell}", _measured(ours), least, share, *bounds)


def _bound(value: float, unit: str) -> str:
    return "" if math.isnan(value) else f"{value:g}{unit}"


def _measured(record: Record) -> str:
    if record.part == "memory":
        return f"{record.setting}, {record.middle / 2**20:.0f} MiB"
    if record.part == "decode":
        return f"{record.setting}, {record.units / record.middle:,.0f} a second"
    unit, scale = ("s", 1) if record.part == "epoch" else ("ms", 1e3)
    return f"{record.setting}, {record.middle * scale:.1f} {unit}"


def shapes(results: Results) -> Table:
    """Tell of steps of sizes that are nobody's case: float32 beside float32, best beside best."""
    pairs = ("unrolled float32", "PyTorch eager float32"), ("unrolled's best", "PyTorch's best")
    headings = ("case", "cell", *pairs[0], "times", *pairs[1], "times")
    rows = []
    for case, cell in results.cases("step"):
        records = results.of("step", case, cell)
        float32 = best(records, "unrolled float32".__eq__), best(records, is_eager_float32)
        fastest = best(records, is_compiled), best(records, is_torch)
        if all(float32) and all(fastest):
            rows.append((case, cell, *_beside(*float32), *_beside(*fastest)))
    return Table("", headings, rows)


def _beside(ours: Record, peer: Record) -> tuple[str, str, str]:
    shown = (f"{each.middle * 1e3:,.2f} ms" for each in (ours, peer))
    return (*shown, f"{peer.middle / ours.middle:.2f}x")


def summary(results: Results) -> Table:
    """Give a table for the READMEs, without words that would have to be translated."""
    headings = ("", "unrolled bfloat16", "unrolled float32", "unrolled numpy", "PyTorch")
    rows = []
    for part, unit, scale in (("step", "ms", 1e3), ("decode", "ms", 1e3), ("epoch", "s", 1.0)):
        for case, cell in results.cases(part):
            records = results.of(part, case, cell)
            chosen = [best(records, name.__eq__) for name in headings[1:4]]
            chosen.append(best(records, is_torch))
            shown = [f"{each.middle * scale:,.1f} {unit}" if each else "" for each in chosen]
            rows.append((f"{part} {case} {cell}", *shown))
    return Table("", headings, rows)
