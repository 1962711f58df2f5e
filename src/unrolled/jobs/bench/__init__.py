"""A benchmark: the same work by several settings, interleaved, beside what the machine can do.

`unrolled bench` measures Unrolled alone; ``python -m benchmarks`` in the repository adds its peers,
PyTorch among them, by the same mechanism.
"""

from unrolled.jobs.bench.cases import Work
from unrolled.jobs.bench.measuring import Measuring, Settings, measure
from unrolled.jobs.bench.ours import settings as ours_alone
from unrolled.jobs.bench.plan import Plan
from unrolled.jobs.bench.processes import Run, Setting
from unrolled.jobs.bench.results import Record, Results

__all__ = [
    "Measuring",
    "Plan",
    "Record",
    "Results",
    "Run",
    "Setting",
    "Settings",
    "Work",
    "measure",
    "ours_alone",
]
