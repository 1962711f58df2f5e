"""Memory of large arrays, kept from one step to the next.

A step makes the same large arrays as the one before it and lets them go. Were their memory given
back to the system each time, it would come back a page at a time, each to be cleared and mapped
anew: a fifth of a training step and more. Within `kept_buffers`, NumPy takes it from blocks that
earlier arrays have left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from unrolled.kernels.choice import extension


@contextmanager
def kept_buffers() -> Iterator[None]:
    """Keep the memory of arrays that are made within, once they are gone, for those to come.

    Also a decorator. The arrays are like any other: they may outlive the context, and be resized
    or let go anywhere. Blocks that are kept for them and in use are at most 1.25 times what was in
    use at once in the last one or two thousand requests for large arrays, those of 128 KiB or more.
    Without compiled kernels, or where these were built without NumPy's headers, nothing is kept. A
    generator must not yield within: the context would go on in its caller.

    References
    ----------
    NumPy Enhancement Proposal 49 (2021), "Data allocation strategies".
    """
    found = extension()
    if not hasattr(found, "buffers"):
        yield
        return
    before = found.set_memory(found.buffers)
    try:
        yield
    finally:
        found.set_memory(before)


def release_buffers() -> None:
    """Give back what is kept for arrays to come, and the calling thread's working memory."""
    found = extension()
    if found is not None:
        found.release_scratch()
    if hasattr(found, "buffers"):
        found.release_buffers()
