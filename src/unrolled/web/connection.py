"""A client's connection, as uvicorn keeps it: with less patience, and refusals like all others."""

from __future__ import annotations

import asyncio
import math

import h11
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from unrolled.web.guard import SAFE_HEADERS, Message, Receive, Send
from unrolled.web.problems import Problem

MOST_CONNECTIONS = 1000

HEAD_SECONDS = 15
"""In which a request must have come whole, but for its body."""

READ_SECONDS = 15
LEAST_READ = 16 << 10
"""Bytes that a client must have read in that time where they wait for it."""


class Connection(H11Protocol):
    """Ends where a request does not come, or nobody reads its answer: no place is held for ever."""

    _hurry: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _unread = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self.app = _too_many
        self._wait()
        self._see_it_read()

    def data_received(self, data: bytes) -> None:
        """Go on with a request, or begin to wait for the rest of the next."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._wait()
        if self._reading is not None:
            self._reading.cancel()

    def resume_writing(self) -> None:
        """Send on: the client has read."""
        super().resume_writing()
        self._unread = math.inf

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Refuse what is no HTTP."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = _refusal(Problem("bad_request", "This cannot be read as HTTP."))
            for event in (
                h11.Response(status_code=answer.status_code, headers=answer.raw_headers),
                h11.Data(data=answer.body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait(self) -> None:
        """See that a request comes in time, unless one is being answered."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.is_closing():
            if self._hurry is not None:
                self._hurry.cancel()
                self._hurry = None
        elif self._hurry is None:
            self._hurry = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _see_it_read(self) -> None:
        """Give up a client for whom bytes wait, and hardly fewer than when this was last called.

        Closing does not: it waits until all is sent. Nothing is added to what waits where sending
        is paused or the connection is closing, and elsewhere what waits keeps nobody.
        """
        if self.flow.write_paused or self.transport.is_closing():
            before, self._unread = self._unread, self.transport.get_write_buffer_size()
            if self._unread > before - LEAST_READ:
                self.transport.abort()
        self._reading = self.loop.call_later(READ_SECONDS, self._see_it_read)


async def _too_many(scope: Message, receive: Receive, send: Send) -> None:
    refusal = _refusal(Problem("busy", "Many connections are open. Try again in a moment."))
    await refusal(scope, receive, send)


def _refusal(problem: Problem) -> JSONResponse:
    headers = {**SAFE_HEADERS, **problem.headers, "Connection": "close"}
    return JSONResponse(problem.body, problem.status, headers)
