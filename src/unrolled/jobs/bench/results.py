"""What was measured, as JSON keeps it, and the ratios that it comes to."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from unrolled.errors import DataError

OURS = "unrolled "
COMPILED = ("unrolled float32", "unrolled bfloat16")


@dataclasses.dataclass(frozen=True)
class Record:
    """One setting's measurements at one work.

    Attributes
    ----------
    part : str
        The benchmark's part: limit, step, memory, decode, epoch or plot.
    case, cell : str
    setting : str
    values : list of float
        Seconds of each round; or bytes, for memory.
    flops : float
        What the work needs; 0 where that is not counted.
    units : int
        Tokens, or captions where they are decoded.
    at : list of int
        The product's sizes; or the point of a plot: axis and place.
    why : str
        Why it could not be measured, if it could not be.
    """

    part: str
    case: str
    cell: str
    setting: str
    values: list[float] = dataclasses.field(default_factory=list)
    flops: float = 0.0
    units: int = 0
    at: list[int] = dataclasses.field(default_factory=list)
    why: str = ""

    @property
    def middle(self) -> float:
        """The median; infinite where there is none."""
        return statistics.median(self.values) if self.values else math.inf

    @property
    def precision(self) -> str:
        """Of what the setting multiplies, by its name."""
        return "bfloat16" if "bfloat16" in self.setting else "float32"


@dataclasses.dataclass(frozen=True)
class Results:
    """A benchmark's measurements, and on what machine they were made.

    Attributes
    ----------
    machine : mapping
        CPU, kernels, threads, versions, rounds, clock.
    records : list of Record
    """

    machine: Mapping[str, Any]
    records: list[Record]

    def of(self, part: str, case: str | None = None, cell: str | None = None) -> list[Record]:
        """Give what was measured of a part, a case and a cell.

        Parameters
        ----------
        part : str
        case, cell : str, optional

        Returns
        -------
        list of Record
        """
        return [
            each
            for each in self.records
            if each.part == part
            and case in (None, each.case)
            and cell in (None, each.cell)
            and each.values
        ]

    def cases(self, part: str) -> list[tuple[str, str]]:
        """Give the cases and cells of a part, in their order.

        Parameters
        ----------
        part : str

        Returns
        -------
        list of (case, cell)
        """
        return list(dict.fromkeys((each.case, each.cell) for each in self.of(part)))

    def limit(self, case: str, cell: str, precision: str) -> float:
        """Give the machine's best rate at a case's matrix products, whoever reached it.

        Of each product it is the median round's, as with all else: a machine that others use, too,
        may run at twice the speed for a moment.

        Parameters
        ----------
        case, cell, precision : str

        Returns
        -------
        float
            Flops a second; not a number where it was not measured.
        """
        rates = [
            each.flops / each.middle
            for each in self.of("limit", case, cell)
            if each.precision == precision
        ]
        return max(rates, default=math.nan)

    def write(self, path: Path) -> None:
        """Write them as JSON.

        Parameters
        ----------
        path : Path

        Raises
        ------
        DataError
            If the file cannot be written.
        """
        values = {"machine": self.machine, "records": [dataclasses.asdict(r) for r in self.records]}
        text = json.dumps(values, indent=1, allow_nan=False)
        try:
            path.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Results:
        """Read what was written, of one run or of several on one machine.

        Parameters
        ----------
        paths : iterable of Path

        Returns
        -------
        Results
            Of a work that was measured twice, what the later file says. The cells of a case stand
            together, whichever files they are from.

        Raises
        ------
        DataError
            If a file cannot be read, or is no benchmark's.
        """
        machine: Mapping[str, Any] = {}
        records: dict[tuple[Any, ...], Record] = {}
        for path in paths:
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
                machine = dict(told["machine"])
                for each in (Record(**record) for record in told["records"]):
                    key = (each.part, each.case, each.cell, each.setting, *each.at)
                    records[key] = each
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}: expected what `unrolled bench --json` writes ({error})"
                ) from None
        order: dict[tuple[str, str], int] = {}
        for each in records.values():
            order.setdefault((each.part, each.case), len(order))
        return cls(machine, sorted(records.values(), key=lambda r: order[r.part, r.case]))


def best(records: Iterable[Record], which: Callable[[str], bool]) -> Record | None:
    """Give the fastest of the settings that are asked for.

    Parameters
    ----------
    records : iterable of Record
    which : callable
        Of a setting's name.

    Returns
    -------
    Record or None
        None where there is no such setting.
    """
    chosen = [each for each in records if which(each.setting)]
    return min(chosen, key=lambda each: each.middle, default=None)
