"""What every request passes first, and every answer last: who may ask, and safe headers.

What is left of a refused request's body is read for a while before its connection is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders

from unrolled.web.metrics import Metrics
from unrolled.web.problems import Problem
from unrolled.web.settings import Settings

Message: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_GUARDED = ("/v1/", "/metrics")
_PASS_OVER_SECONDS = 15
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """Refuses requests that may not ask, and gives every answer its headers.

    Parameters
    ----------
    app : ASGI application
    settings : Settings
    metrics : Metrics
    routes : sequence of str
        That are counted by name.
    """

    def __init__(
        self, app: App, *, settings: Settings, metrics: Metrics, routes: frozenset[str]
    ) -> None:
        self._app, self._metrics, self._routes = app, metrics, routes
        self._settings = settings
        self._token = None if settings.token is None else settings.token.encode("ascii")
        self._names = {name.lower() for name in (*settings.names, settings.host, *_OWN_NAMES)}
        self._any_name = not settings.is_private

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, ended, status, closes = time.perf_counter(), None, 500, False
        body = _Body(receive)

        async def send_safely(message: Message) -> None:
            nonlocal ended, status, closes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                closes = status >= 400 and scope["method"] == "POST"
                if closes:
                    headers["Connection"] = "close"  # what is left of its body is not a request
            elif closes and not message.get("more_body", False):
                await send({**message, "more_body": True})
                ended = time.perf_counter()
                await body.pass_over(self._settings)
                message = {"type": "http.response.body"}
            await send(message)

        try:
            self._check(scope["path"], scope["method"], Headers(scope=scope))
        except Problem as problem:
            refusal = JSONResponse(problem.body, problem.status, problem.headers)
            await refusal(scope, body.receive, send_safely)
        else:
            await self._app(scope, body.receive, send_safely)
        finally:
            route = scope["path"] if scope["path"] in self._routes else "other"
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
            self._metrics.requests.labels(route, method, status).inc()
            self._metrics.seconds.observe((ended or time.perf_counter()) - began)

    def _check(self, path: str, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if not self._any_name and name.lower() not in self._names:
            raise Problem(
                "unknown_host",
                "This service is not known by that name; --name tells it one more.",
            )
        origin = headers.get("origin")
        own = (host, *self._settings.names)
        if method not in ("GET", "HEAD") and origin and origin.partition("://")[2] not in own:
            raise Problem("foreign_page", "Pages of other sites may not send photos here.")
        if self._token is not None and path.startswith(_GUARDED):
            scheme, _, token = headers.get("authorization", "").partition(" ")
            given = token.strip().encode("utf-8", "surrogateescape")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given, self._token):
                raise Problem("token_wanted", "This service answers only those who have its token.")


class _Body:
    """A request's body: what the application reads of it, and what it leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._ended = receive, False

    async def receive(self) -> Message:
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def pass_over(self, settings: Settings) -> None:
        """Read what is left, for nothing; as much as a request may have, and not for long.

        Were the connection closed on bytes that nobody has read, the system would tell the client
        that it broke, and the client might lose the answer, or not have come to reading it.
        """

        async def read() -> None:
            most = settings.request_bytes
            while not self._ended and most > 0:
                most -= len((await self.receive()).get("body", b""))

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(read(), min(settings.seconds, _PASS_OVER_SECONDS))
