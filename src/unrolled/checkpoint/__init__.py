"""Checkpoints: one folder of well-known formats, written atomically, checksummed, never pickled."""

from unrolled.checkpoint.store import Checkpoint, load, save

__all__ = ["Checkpoint", "load", "save"]
