"""Run the service: listen, answer, and stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable

import uvicorn

from unrolled.errors import InputError
from unrolled.web.app import Service, create_app
from unrolled.web.connection import MOST_CONNECTIONS, Connection
from unrolled.web.memory import return_large_blocks
from unrolled.web.settings import Settings

_WAITING_CONNECTIONS = 1024

_OPEN_FILES = 8 * MOST_CONNECTIONS
"""That are wanted: where there is none left for a connection, it cannot even be refused."""


def run(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Listen until Ctrl-C or SIGTERM; what was taken by then is finished.

    Parameters
    ----------
    settings : Settings
    on_ready : callable
        Takes the address once photos are captioned there.

    Raises
    ------
    InputError
        If nothing can listen there.
    UnrolledError
        If the captioner cannot be loaded.
    """
    _allow_open_files()
    return_large_blocks()
    asyncio.run(_run(settings, on_ready))


def _allow_open_files() -> None:
    """Raise the limit of open files, often 1,024, as far as the hard one lets it."""
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    wanted = _OPEN_FILES if hard == endless else min(hard, _OPEN_FILES)
    if soft != endless and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # some systems have one more limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _run(settings: Settings, on_ready: Callable[[str], None]) -> None:
    service = Service(settings)
    config = uvicorn.Config(
        create_app(service),
        http=Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        backlog=_WAITING_CONNECTIONS,
        timeout_graceful_shutdown=settings.stop_seconds,
    )
    with _listen(settings) as listening:
        await service.engine.start()
        listening.listen(_WAITING_CONNECTIONS)  # so that nobody who is told is refused
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        on_ready(f"http://{host}:{listening.getsockname()[1]}/")
        try:
            await uvicorn.Server(config).serve(sockets=[listening])
        finally:
            await service.engine.stop()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, UnicodeError) as error:  # the latter of a name that can be none
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"serve: cannot listen on {settings.host}, port {settings.port} ({why}); "
            "choose another with --host and --port"
        ) from error
    return listening
