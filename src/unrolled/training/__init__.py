"""Training: a configuration, a state that resumes bit for bit, and a loop that emits events."""

from unrolled.training.config import TrainingConfig
from unrolled.training.events import EpochDone, Event, Finished, Saved, StepDone, event_record
from unrolled.training.log import open_log, read_log
from unrolled.training.loop import train
from unrolled.training.self_critical import Reward
from unrolled.training.state import TrainingState

__all__ = [
    "EpochDone",
    "Event",
    "Finished",
    "Reward",
    "Saved",
    "StepDone",
    "TrainingConfig",
    "TrainingState",
    "event_record",
    "open_log",
    "read_log",
    "train",
]
