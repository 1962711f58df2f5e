"""Checkpoints: one folder of well-known formats, written atomically, checksummed, never pickled."""

from unrolled.checkpoint.store import Checkpoint, exists, load, save

__all__ = ["Checkpoint", "exists", "load", "save"]
