"""The service: a page and an HTTP API that caption photos, for a person or a small team.

::

    browser or program
        │  HTTP
    connection ─► guard ─► app ─► uploads      who may ask, and what is asked
                            │
                          engine               a bounded queue; photos that wait go together
                            │  process, wire
                          worker               a process of its own: sees, captions

A photo is held in memory as long as it is worked on, and nowhere else.
"""

from collections.abc import Callable

from unrolled.web.settings import Settings, read_token

__all__ = ["Settings", "read_token", "serve"]


def serve(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Listen until told to stop; what was taken by then is finished.

    Parameters
    ----------
    settings : Settings
    on_ready : callable
        Takes the address once photos are captioned there.

    Raises
    ------
    MissingExtraError
        If the packages of the extra ``serve`` are not installed.
    UnrolledError
        If the captioner cannot be loaded, or nothing can listen there.
    """
    from unrolled.errors import MissingExtraError

    try:
        from unrolled.web.running import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("unrolled"):
            raise
        raise MissingExtraError(
            f"unrolled serve needs {error.name}; install it with: pip install 'unrolled[serve]'"
        ) from error
    run(settings, on_ready)
