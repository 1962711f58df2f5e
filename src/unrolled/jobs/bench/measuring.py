"""A benchmark's course: what is measured, in which order, and that all did the same work."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from unrolled import kernels
from unrolled.cpus import available_cpus
from unrolled.errors import InputError
from unrolled.jobs.bench import ours
from unrolled.jobs.bench.cases import Shape, Sizes, Work, made_step
from unrolled.jobs.bench.plan import Plan, works
from unrolled.jobs.bench.processes import (
    Processes,
    Setting,
    forget,
    prepare,
    take_memory,
    take_time,
)
from unrolled.jobs.bench.results import Record, Results
from unrolled.jobs.events import Note
from unrolled.jobs.system import describe_cpu, versions

ENOUGH_SECONDS, LEAST_ROUNDS = 30.0, 3
"""A setting rests once it took so long in all, unless it had too few rounds."""

SMALL = Shape(2, 3, Sizes(8, 8, 8, 50), 0.7)

Settings = Callable[[Work], Sequence[Setting]]
"""A work to the settings that can do it."""


class Measuring(NamedTuple):
    """How far the benchmark is."""

    done: int
    total: int
    what: str


def measure(plan: Plan, settings: Settings = ours.settings) -> Iterator[Measuring | Note | Results]:
    """Measure all that a plan says.

    Parameters
    ----------
    plan : Plan
    settings : callable
        A work to the settings that do it.

    Yields
    ------
    Measuring
        Before every round.
    Note
        Of a setting that cannot run here.
    Results
        All so far, whenever a work is done; the last are all there are.

    Raises
    ------
    InputError
        If a setting's outcome shows that it did other work than the reference.
    """
    threads = plan.threads or available_cpus()
    machine = _machine(plan, threads)
    records: list[Record] = []
    todo = list(works(plan))
    with Processes(threads) as processes:
        for number, work in enumerate(todo):
            what = f"{work.part} {work.case} {work.cell}"
            course = _memory if work.part == "memory" else _times
            for event in course(plan, work, settings(work), processes):
                if isinstance(event, Record):
                    records.append(event)
                    if event.why:
                        yield Note(f"{what}: {event.setting} is left out: {event.why}")
                else:
                    yield Measuring(number, len(todo), f"{what}, {event}")
            yield Results(machine, list(records))


def _times(
    plan: Plan, work: Work, settings: Sequence[Setting], processes: Processes
) -> Iterator[str | Record]:
    """Prepare every setting, then let them run in turn, round after round."""
    wanted = _reference(work, settings, processes)
    ready: dict[str, tuple[Setting, list[float]]] = {}
    for setting in settings:
        yield f"preparing {setting.name}"
        try:
            outcome = processes.call(setting, prepare, setting.name, setting.make, work)
        except Exception as error:  # a peer's library may fail in any way
            yield _record(work, setting, why=_say(error))
            continue
        wanted = outcome if wanted is None else wanted
        _check_same(work, setting, outcome, wanted)
        ready[setting.name] = setting, []
    rounds = min(plan.rounds, 3) if work.task == "epoch" else plan.rounds
    for number in range(rounds):
        for setting, spent in ready.values():
            if sum(spent) > ENOUGH_SECONDS and len(spent) >= LEAST_ROUNDS:
                continue
            yield f"round {number + 1} of {rounds}, {setting.name}"
            spent.append(processes.call(setting, take_time, setting.name, plan.clock))
    for setting, spent in ready.values():
        processes.call(setting, forget, setting.name)
        yield _record(work, setting, [each / max(len(work.captions), 1) for each in spent])


def _memory(
    _plan: Plan, work: Work, settings: Sequence[Setting], processes: Processes
) -> Iterator[str | Record]:
    """Measure each setting's peak in a process of its own."""
    if work.task == "decode":
        small = replace(work, features=(work.features[0][:2],))
    else:
        small = made_step("small", SMALL, work.cell)
    for setting in settings:
        alone = setting._replace(process=f"{setting.name} alone")
        yield setting.name
        record = _record(work, setting)
        try:
            peak = processes.call(alone, take_memory, setting.make, small, work)
            yield replace(record, values=[peak])
        except Exception as error:
            yield replace(record, why=_say(error))
        finally:
            processes.stop(alone.process)


def _reference(work: Work, settings: Sequence[Setting], processes: Processes) -> Any:
    """Take the loss in float64 by NumPy's text, where there is one."""
    if work.task != "step":
        return None
    by_text = next((each for each in settings if each.process == "numpy"), None)
    return processes.call(by_text, ours.reference, work) if by_text else ours.reference(work)


def _check_same(work: Work, setting: Setting, outcome: Any, wanted: Any) -> None:
    """Hold an outcome to the reference's."""
    if wanted is None:
        return
    if isinstance(wanted, list):
        differ = [one != other for one, other in zip(outcome, wanted, strict=True)]
        far, said = sum(differ) / len(differ), f"{sum(differ)} of {len(differ)} other captions"
    else:
        far, said = abs(outcome / wanted - 1), f"a loss of {outcome:.6g} instead of {wanted:.6g}"
    if not far <= setting.tolerance:
        raise InputError(
            f"bench: {work.part} {work.case} {work.cell}: {setting.name} comes to {said}; it does "
            "other work than the rest, so its time would say nothing"
        )


def _record(
    work: Work, setting: Setting, values: list[float] | None = None, why: str = ""
) -> Record:
    batches = max(len(work.captions), 1)
    flops, units, at = work.flops / batches, work.tokens // batches, list(work.at)
    if work.task == "product":
        flops, units = 2.0 * work.at[0] * work.at[1] * work.at[2], 0
    elif work.task == "decode":
        flops, units, at = 0.0, len(work.features[0]), []
    name = setting.name
    return Record(work.part, work.case, work.cell, name, values or [], flops, units, at, why)


def _say(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


def _machine(plan: Plan, threads: int) -> dict[str, Any]:
    return {
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": describe_cpu(),
        "kernels": kernels.status()._replace(threads=threads)._asdict(),
        "threads": threads,
        "rounds": plan.rounds,
        "clock": plan.clock,
        "versions": versions(("numpy", "onnxruntime", "torch")),
    }
