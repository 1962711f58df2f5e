"""Run work ahead of its consumer in threads, a bounded distance, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from unrolled.errors import ImageError

__all__ = ["OnError", "map_ahead", "map_photos"]

OnError = Literal["raise"] | Callable[[Path, ImageError], None]

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


def map_photos(
    function: Callable[[Path], Result],
    paths: Iterable[Path],
    *,
    threads: int,
    ahead: int,
    on_error: OnError = "raise",
) -> Generator[Result, None, None]:
    """Yield what ``function`` makes of each photo, working ahead as `map_ahead` does.

    An `ImageError` comes out at its photo's turn; a callable ``on_error`` is told of it then, in
    the consumer's thread, and the others go on.
    """

    def see(path: Path) -> Result | ImageError:
        try:
            return function(path)
        except ImageError as error:
            return error

    with closing(map_ahead(see, paths, threads=threads, ahead=ahead)) as seen:
        for path, found in seen:
            if not isinstance(found, ImageError):
                yield found
            elif on_error == "raise":
                raise found
            else:
                on_error(path, found)
