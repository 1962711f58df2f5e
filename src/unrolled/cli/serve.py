"""``unrolled serve``: a page and an HTTP API that caption photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unrolled.cli.console import say
from unrolled.cli.options import Models, OwnEncoder
from unrolled.web import Settings, read_token, serve

EXAMPLE = """Examples:

unrolled serve

unrolled serve --model captioner --port 9000

unrolled serve --host 0.0.0.0 --token-file token.txt

curl --data-binary @holiday.jpg -H "Content-Type: image/jpeg" http://127.0.0.1:8000/v1/captions
"""
LIMITS = "What is taken at most"


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command("serve", epilog=EXAMPLE)(run)


def _most(help: str) -> typer.models.OptionInfo:  # noqa: A002 - the option's name
    option: typer.models.OptionInfo = typer.Option(help=help, rich_help_panel=LIMITS)
    return option


def run(
    model: Models = None,
    encoder: OwnEncoder = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; other machines reach it only if this is changed.")
    ] = Settings.host,
    port: Annotated[int, typer.Option(help="0 is any that is free.")] = Settings.port,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name it is called by in a browser, where a proxy stands before it."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the token that requests must bear; or set UNROLLED_TOKEN to it."
        ),
    ] = None,
    photo_bytes: Annotated[int, _most("Bytes of a photo.")] = Settings.photo_bytes,
    photo_pixels: Annotated[int, _most("Pixels of a photo.")] = Settings.photo_pixels,
    request_photos: Annotated[int, _most("Photos of a request.")] = Settings.request_photos,
    request_bytes: Annotated[int, _most("Bytes of a request.")] = Settings.request_bytes,
    queue: Annotated[int, _most("Photos that wait or are worked on.")] = Settings.queue,
    seconds: Annotated[
        int, _most("For a request to arrive, and as long again for its captions.")
    ] = Settings.seconds,
) -> None:
    """Caption photos in a browser, and for programs over HTTP; photos are never kept."""
    settings = Settings(
        models=tuple(map(str, model or ())),
        encoder=encoder,
        host=host,
        port=port,
        names=tuple(name or ()),
        token=read_token(token_file),
        photo_bytes=photo_bytes,
        photo_pixels=photo_pixels,
        request_photos=request_photos,
        request_bytes=request_bytes,
        queue=queue,
        seconds=seconds,
    )
    if not settings.is_private and settings.token is None:
        say("note: other machines can reach this, and there is no token; see --token-file")
    serve(settings, on_ready=lambda address: say(f"Captioning at {address}  (Ctrl-C stops it.)"))
