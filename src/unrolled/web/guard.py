"""What every request passes first, and every answer last: who may ask, and safe headers."""

from __future__ import annotations

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
        began, status = time.perf_counter(), 500

        async def send_safely(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if status >= 400 and scope["method"] == "POST":
                    headers["Connection"] = "close"  # what is left of its body is not read
            await send(message)

        try:
            self._check(scope["path"], scope["method"], Headers(scope=scope))
        except Problem as problem:
            refusal = JSONResponse(problem.body, problem.status, problem.headers)
            await refusal(scope, receive, send_safely)
        else:
            await self._app(scope, receive, send_safely)
        finally:
            route = scope["path"] if scope["path"] in self._routes else "other"
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
            self._metrics.requests.labels(route, method, status).inc()
            self._metrics.seconds.observe(time.perf_counter() - began)

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
