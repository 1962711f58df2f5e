"""Hold somebody's solution of the assignment against the truth, function by function.

>>> from unrolled import check, layers
>>> report = check.check_module(layers)
>>> report.passed, report.failed
(13, 0)
"""

from unrolled.check.checking import check_module, check_path
from unrolled.check.diagnoses import Diagnosis
from unrolled.check.messages import MESSAGES
from unrolled.check.results import FunctionResult, Report
from unrolled.check.sandbox import Limits

__all__ = [
    "MESSAGES",
    "Diagnosis",
    "FunctionResult",
    "Limits",
    "Report",
    "check_module",
    "check_path",
]
