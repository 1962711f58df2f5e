"""The application: routes, and what each answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

import unrolled
from unrolled.web import schemas
from unrolled.web.engine import Engine
from unrolled.web.guard import Guard
from unrolled.web.metrics import Metrics
from unrolled.web.page import FILES
from unrolled.web.problems import CODES, Problem
from unrolled.web.settings import Settings
from unrolled.web.uploads import Photo, Room, read_photos

Result = TypeVar("Result")


def _photos(settings: Settings) -> dict[str, Any]:
    """Describe the body of a request, for the OpenAPI document."""
    photo = {"type": "string", "format": "binary", "minLength": 1}
    several = {"type": "array", "items": photo, "minItems": 1, "maxItems": settings.request_photos}
    form = {"type": "object", "required": ["photo"], "properties": {"photo": several}}
    content = {"multipart/form-data": form, "application/octet-stream": photo, "image/*": photo}
    return {
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in content.items()},
        }
    }


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe answers that are errors, for the OpenAPI document."""
    return {
        status: {
            "model": schemas.Refusal,
            "description": ", ".join(code for code in CODES if CODES[code] == status),
        }
        for status in statuses
    }


class Service:
    """The routes of one running service.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.engine = Engine(settings, self.metrics)
        self._room = Room(settings.held_bytes)

    async def captions(
        self, request: Request, options: Annotated[schemas.Options, Query()]
    ) -> Response:
        """Caption photos: files of a form, or the bytes of one.

        A request of one photo that cannot be read is answered with an error; of several, each has
        its caption or its own error.
        """
        decoding = options.over(self.engine.decoding)
        with self._room.place() as place:
            photos = await read_photos(request, self.settings, place)
            answers = await _unless_gone(
                request,
                self.engine.caption(
                    [photo.content for photo in photos],
                    decoding,
                    count=options.n_best or 1,
                    details=options.details,
                ),
            )
        if len(answers) == 1 and "unreadable" in answers[0]:
            raise Problem("photo_unreadable", _reason(answers[0]))
        pairs = enumerate(zip(photos, answers, strict=True))
        return JSONResponse({"photos": [_told(n, *pair, options) for n, pair in pairs]})

    async def models(self) -> dict[str, Any]:
        """Say who speaks here, how captions are found unless told otherwise, and the limits."""
        limits = schemas.Limits(
            **{name: getattr(self.settings, name) for name in schemas.Limits.model_fields}
        )
        decoding = self.engine.decoding
        return {
            "models": self.engine.models,
            "decoding": {
                name: getattr(decoding, name)
                for name in ("width", "max_length", "min_length", "consensus", "sample")
            },
            "limits": limits,
        }

    async def health(self) -> dict[str, str]:
        """Say that the service runs."""
        return {"status": "ok"}

    async def readiness(self) -> dict[str, str]:
        """Say whether photos are captioned now."""
        if not self.engine.ready:
            raise Problem("not_ready", "The captioner is being started.")
        return {"status": "ready"}

    async def counts(self) -> Response:
        """Give what was counted, for Prometheus."""
        return Response(self.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _told(
    index: int, photo: Photo, answer: dict[str, Any], options: schemas.Options
) -> dict[str, Any]:
    """Make of a worker's answer what a person reads."""
    told: dict[str, Any] = {"index": index, "name": photo.name}
    if "unreadable" in answer:
        return told | {"error": {"code": "photo_unreadable", "message": _reason(answer)}}
    told |= answer["captions"][0]
    if options.n_best is not None:
        told["candidates"] = answer["captions"]
    if options.details:
        told["details"] = answer["details"]
    return told


def _reason(answer: dict[str, Any]) -> str:
    reason: str = answer["unreadable"].removeprefix("photo: ")
    return reason[:1].upper() + reason[1:]


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Do something for a client, and let it be when the client has gone."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for each in (working, leaving):
            each.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _problem(_: Request, problem: Exception) -> Response:
    if isinstance(problem, Problem):
        return JSONResponse(problem.body, problem.status, problem.headers)
    if isinstance(problem, RequestValidationError):
        first = problem.errors()[0]
        what = ".".join(str(part) for part in first["loc"][1:])
        return await _problem(_, Problem("bad_option", f"{what}: {first['msg']}."))
    if isinstance(problem, HTTPException):
        codes = {404: "not_found", 405: "not_allowed"}
        code = codes.get(problem.status_code, "bad_request")
        answer = Problem(code, str(problem.detail))
        return JSONResponse(answer.body, answer.status, problem.headers)
    if isinstance(problem, ClientDisconnect):  # nobody reads this
        return Response(status_code=400)
    answer = Problem("broken", "Something went wrong here. It is not your photo's fault.")
    return JSONResponse(answer.body, answer.status)


def create_app(service: Service) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    service : Service
        Whose engine somebody starts and stops.

    Returns
    -------
    FastAPI
    """
    app = FastAPI(
        title="Unrolled",
        version=unrolled.__version__,
        description="Captions for photos. Nothing of a photo is logged or kept.",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.add_api_route(
        "/v1/captions",
        service.captions,
        methods=["POST"],
        response_model=schemas.Answer,
        responses=_refusals(*sorted(set(CODES.values()) - {404, 405, 500})),
        openapi_extra=_photos(service.settings),
    )
    shared = _refusals(401, 421)
    add = app.add_api_route
    add("/v1/models", service.models, response_model=schemas.Models, responses=shared)
    add("/healthz", service.health, response_model=schemas.State, responses=_refusals(421))
    add("/readyz", service.readiness, response_model=schemas.State, responses=_refusals(421, 503))
    add("/metrics", service.counts, response_class=Response, responses=shared)
    for path, file in FILES.items():
        add(path, file.answer, include_in_schema=False)
    for kind in (Problem, RequestValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _problem)
    routes = frozenset(route.path for route in app.routes if hasattr(route, "path"))
    app.user_middleware.append(
        Middleware(Guard, settings=service.settings, metrics=service.metrics, routes=routes)
    )
    return app
