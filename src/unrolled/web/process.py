"""A worker process, as the service sees it: started, spoken to, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TypeVar

from unrolled.captioner import Decoding
from unrolled.errors import UnrolledError
from unrolled.web import wire
from unrolled.web.settings import Settings

_START_SECONDS = 120
_END_SECONDS = 5
_CHUNK = 1 << 16

Pipe = TypeVar("Pipe", asyncio.StreamReader, asyncio.StreamWriter)


class WorkerProcess:
    """A process that has loaded its captioners, and waits for photos; see `unrolled.web.worker`.

    Parameters
    ----------
    process : asyncio.subprocess.Process
    said : dict
        Of its captioners.

    Attributes
    ----------
    models : list of dict
        What it said of each.
    decoding : Decoding
        How they search unless told otherwise.
    ended : asyncio.Task
        Done when the process has come to an end; its result is the exit status.
    used : bool
        Whether it was given a photo.
    """

    def __init__(self, process: asyncio.subprocess.Process, said: wire.Header) -> None:
        self._process = process
        self.models: list[wire.Header] = said["models"]
        self.decoding = Decoding(**said["decoding"])
        self.ended = asyncio.create_task(process.wait())
        self.used = False

    @classmethod
    async def start(cls, settings: Settings) -> WorkerProcess:
        """Start a worker, and wait until it has loaded its captioners.

        Parameters
        ----------
        settings : Settings

        Returns
        -------
        WorkerProcess

        Raises
        ------
        UnrolledError
            If it cannot load them, or ends before.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "unrolled.web.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        try:
            _stream(process.stdin).write(wire.pack(_told(settings)))
            receiving = wire.receive(_stream(process.stdout))
            said = await asyncio.wait_for(receiving, timeout=_START_SECONDS)
            if "failed" in said:
                raise UnrolledError(said["failed"])
            return cls(process, said)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, (asyncio.IncompleteReadError, asyncio.TimeoutError)):
                raise UnrolledError("serve: the worker process ended before it was ready") from None
            raise

    def write(self, frame: bytes) -> None:
        """Send a frame; what the pipe does not take is held here.

        Parameters
        ----------
        frame : bytes
        """
        self.used = True
        _stream(self._process.stdin).write(frame)

    async def receive(self) -> wire.Header:
        """Wait for the worker's next word.

        Returns
        -------
        dict

        Raises
        ------
        asyncio.IncompleteReadError
            If it has come to an end.
        """
        return await wire.receive(_stream(self._process.stdout))

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self) -> None:
        """Let it end, and do not wait long for that.

        What it still says is read, for nothing: it would wait for somebody who reads it, and its
        end is not told before all of it has been.
        """
        _stream(self._process.stdin).close()
        reading = asyncio.ensure_future(_read_out(_stream(self._process.stdout)))
        await asyncio.wait({self.ended}, timeout=_END_SECONDS)
        self.kill()
        await asyncio.wait({self.ended}, timeout=_END_SECONDS)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def _stream(pipe: Pipe | None) -> Pipe:
    if pipe is None:  # never, as they are asked for; the types do not say so
        raise UnrolledError("serve: the worker has no pipes")
    return pipe


async def _read_out(stream: asyncio.StreamReader) -> None:
    while await stream.read(_CHUNK):
        pass


def _told(settings: Settings) -> wire.Header:
    """Say what a worker is to load."""
    models: list[str | None] = [
        str(Path(model).absolute()) if Path(model).exists() else model for model in settings.models
    ]
    return {
        "models": models or [None],  # the one that ships
        "encoder": settings.encoder,
        "max_pixels": settings.photo_pixels,
    }
