"""``unrolled info`` and ``unrolled export``: what a model or this machine is, and one to ship."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from unrolled.captioner import Captioner, Wishes
from unrolled.cli.console import on_one_line, print_json, say
from unrolled.cli.options import ENVIRONMENT_HELP
from unrolled.cli.searching import searching
from unrolled.errors import InputError
from unrolled.jobs.system import describe_system
from unrolled.vision.names import JOIN

DTYPES = ("float16", "float32")


INFO_EXAMPLE = f"""Examples:

unrolled info run/best

unrolled info --system

{ENVIRONMENT_HELP}
"""


def add_to(app: typer.Typer) -> None:
    """Give the app these commands."""
    app.command(epilog=INFO_EXAMPLE)(info)
    app.command(epilog="Example: unrolled export run/best --out captioner --beam 3")(
        searching(export)
    )


def info(
    model: Annotated[
        Path | None, typer.Argument(help="A model folder, or default or strong, which ship.")
    ] = None,
    system: Annotated[
        bool, typer.Option("--system", help="This machine instead: which kernels run, and why.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Print a model's card: what it is, what it learnt from, how it scores, where it fails."""
    if system:
        if model is not None:
            raise InputError(f"info: --system says what this machine has; leave out {model}")
        _print(describe_system(), as_json=as_json)
        return
    captioner = Captioner.load(model)
    card = {
        "model": captioner.model.config
        | {
            "parameters": sum(p.size for p in captioner.model.params.values()),
            "words": len(captioner.vocabulary),
        },
        "encoder": dict(captioner.encoder),
        "decoding": dataclasses.asdict(captioner.decoding),
        **captioner.card,
    }
    _print(card, as_json=as_json)


def _print(sections: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(sections)
    else:
        _print_section(sections)


def _print_section(section: Mapping[str, Any], indent: str = "") -> None:
    width = max((len(str(key)) for key in section), default=0)
    for key, value in section.items():
        if isinstance(value, Mapping):
            print(f"{indent}{on_one_line(str(key))}")
            _print_section(value, indent + "  ")
        else:
            shown = value
            if isinstance(value, float) and value >= 0.01:
                shown = f"{value:.4f}"
            elif isinstance(value, list):
                shown = " ".join(map(str, value))
            print(f"{indent}{on_one_line(f'{key:<{width}}  {shown}')}")


def export(
    model: Annotated[Path, typer.Argument(help="A model folder, such as RUN/best.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    dtype: Annotated[str, typer.Option(help="float16 halves the weights.")] = "float16",
    card: Annotated[
        Path | None, typer.Option(help="A JSON file whose entries are added to the card.")
    ] = None,
    *,
    wishes: Wishes,
) -> None:
    """Make a model folder to ship: the captioner alone, its weights in half the bytes.

    How captions are found becomes the captioner's own way, where nothing else is asked for.
    """
    if dtype not in DTYPES:
        raise InputError(f"export: dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    captioner = Captioner.load(model)
    added = {}
    if card is not None:
        try:
            added = json.loads(card.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{card}: not a JSON file that can be read ({error})") from error
        if not isinstance(added, dict):
            raise InputError(f"{card}: expected a JSON object of entries for the card")
    dataclasses.replace(
        captioner,
        decoding=wishes.over(captioner.decoding),
        card={**_without_places(captioner.card), **added},
    ).save(out, dtype=dtype)
    size = sum(file.stat().st_size for file in out.iterdir())
    say(f"wrote {out}: {size / 1e6:.1f} MB.")


def _without_places(card: Mapping[str, Any]) -> dict[str, Any]:
    """Leave of a run's paths the last names: where they lay on a machine is its owner's."""
    run = card.get("run")
    data = run.get("data") if isinstance(run, Mapping) else None
    if not (isinstance(run, Mapping) and isinstance(data, Mapping)):
        return dict(card)
    names = {
        key: Path(data[key]).name
        for key in ("path", "photos", "features")
        if isinstance(data.get(key), str)
    }
    if isinstance(data.get("encoder"), str):
        names["encoder"] = JOIN.join(Path(part).name for part in data["encoder"].split(JOIN))
    told = {**run, "data": {**data, **names}}
    training = run.get("training")
    if isinstance(training, Mapping) and isinstance(training.get("start"), str):
        told["training"] = {**training, "start": Path(training["start"]).name}
    return {**card, "run": told}
