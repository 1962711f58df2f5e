"""The options of how captions are found, said once for the commands that have them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from unrolled.captioner import DIVERSITY, Decoding, Wishes
from unrolled.cli.options import Beam

PANEL = "How captions are found"


def _option(*names: str, help: str) -> Any:  # noqa: A002 - the option's name
    return typer.Option(*names, help=help, rich_help_panel=PANEL)


OPTIONS: dict[str, Any] = {
    "beam": Beam,
    "length_norm": Annotated[
        float | None,
        _option(help="Rank what the beam found by log-probability / words ** this, 0 to 2."),
    ],
    "consensus": Annotated[
        bool | None,
        _option(
            "--consensus/--no-consensus",
            help="Prefer the caption that the others found have most in common with.",
        ),
    ],
    "groups": Annotated[
        int | None, _option(help="Diverse beam search: groups that share the beam evenly.")
    ],
    "diversity": Annotated[
        float | None,
        _option(help=f"Nats that saying an earlier group's word costs; {DIVERSITY} unless given."),
    ],
    "sample": Annotated[
        bool | None, _option("--sample", help="Draw captions instead of searching for the best.")
    ],
    "temperature": Annotated[
        float | None, _option(help="With --sample: below 1 likely words become likelier.")
    ],
    "top_k": Annotated[
        int | None, _option(help="With --sample: of this many likeliest words; 0 for all.")
    ],
    "top_p": Annotated[
        float | None,
        _option(help="With --sample: of the likeliest words that hold this probability."),
    ],
    "seed": Annotated[
        int | None, _option(help="With --sample: a photo's captions depend on it and on the photo.")
    ],
    "min_length": Annotated[int | None, _option(help="Words at least.")],
    "max_length": Annotated[int | None, _option(help="Words at most.")],
    "forbid": Annotated[
        list[str] | None, _option(help="A word that no caption has; may be given several times.")
    ],
    "no_repeat_ngram": Annotated[
        int | None, _option(help="No run of this many words comes twice in a caption.")
    ],
    "precision": Annotated[
        str | None,
        _option(help="float32, bfloat16, or auto: bfloat16 where the CPU gains by it."),
    ],
    "prefix": Annotated[str | None, _option(help='What captions begin with: "a photo of".')],
}  # fmt: skip


def searching(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of decoding; it takes what was said as ``wishes``.

    Parameters
    ----------
    command : callable
        With a keyword ``wishes`` among its parameters.

    Returns
    -------
    callable
        For typer.
    """
    hints = get_type_hints(command, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        parameter.replace(annotation=hints[name], kind=keyword)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "wishes"
    ]
    parameters += [
        inspect.Parameter(name, keyword, default=None, annotation=kind)
        for name, kind in OPTIONS.items()
    ]

    def run(**given: Any) -> None:
        said = {name: value for name in OPTIONS if (value := given.pop(name)) not in (None, [])}
        command(**given, wishes=Wishes(said))

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def describe(decoding: Decoding) -> str:
    """Say in some words how captions are found.

    Parameters
    ----------
    decoding : Decoding

    Returns
    -------
    str
    """
    precision = "" if decoding.precision == "float32" else f", {decoding.precision}"
    if decoding.sample:
        return f"drawn with seed {decoding.seed}{precision}"
    groups = f" in {decoding.groups} groups" if decoding.groups > 1 else ""
    consensus = ", by consensus" if decoding.consensus and decoding.width > 1 else ""
    return f"beam {decoding.width}{groups}{consensus}{precision}"
