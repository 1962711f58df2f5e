"""Run work ahead of its consumer in threads, a bounded distance, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["map_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Generator[tuple[Item, Result], None, None]:
    """Yield each item with what ``function`` makes of it, working ahead in threads.

    At most ``ahead`` results exist before they are asked for, and ``items`` is read no further
    than that. An exception of ``function`` comes out at its item's turn. However the iteration
    ends, by exhaustion, an exception, Ctrl-C or ``close``, work not begun is dropped and no
    thread is left behind.
    """
    source = iter(items)
    pending: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="unrolled-ahead")
    try:
        while True:
            for item in islice(source, ahead - len(pending)):
                pending.append((item, pool.submit(function, item)))
            if not pending:
                return
            item, future = pending.popleft()
            yield item, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
