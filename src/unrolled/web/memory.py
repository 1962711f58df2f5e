"""Memory that goes back to the system when it is let go."""

from __future__ import annotations

import ctypes
import os
import sys

_SETTING = "MALLOC_MMAP_THRESHOLD_"
_THRESHOLD = 1 << 20
_M_MMAP_THRESHOLD = -3  # malloc.h


def return_large_blocks() -> None:
    """Have the GNU C library give blocks from 1 MB on back as soon as they are let go.

    By itself it comes to keep blocks of up to 32 MB for the next, which seldom fit where photos are
    small and large, and those that are captioned together few and many: the worker grew to twice
    what it needs, the service that holds their bytes by a tenth. It says so at
    `mallopt(3) <https://man7.org/linux/man-pages/man3/mallopt.3.html>`_.

    What `MALLOC_MMAP_THRESHOLD_` says goes before. Where there is no such library, nothing is done.
    """
    if not sys.platform.startswith("linux") or _SETTING in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
