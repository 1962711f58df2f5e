"""The page's files, read once; none of them asks for anything of another machine."""

from __future__ import annotations

import dataclasses
from importlib import resources

from fastapi.responses import Response

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_PATHS = {
    "/": "index.html",
    "/docs": "docs.html",
    "/page.css": "page.css",
    "/page.js": "page.js",
    "/words.js": "words.js",
    "/details.js": "details.js",
    "/docs.js": "docs.js",
    "/icon.svg": "icon.svg",
}


@dataclasses.dataclass(frozen=True)
class File:
    """One file of the page."""

    content: bytes
    kind: str

    async def answer(self) -> Response:
        """Give it to a browser, which asks again each time."""
        return Response(self.content, media_type=self.kind, headers={"Cache-Control": "no-cache"})


def _read(name: str) -> File:
    content = resources.files(__package__).joinpath(name).read_bytes()
    return File(content, _KINDS[name.rpartition(".")[2]])


FILES = {path: _read(name) for path, name in _PATHS.items()}
"""By the path that each is found at."""
