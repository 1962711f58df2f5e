"""``unrolled evaluate``: a captioner's scores on captioned photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from unrolled.captioner import Captioner
from unrolled.cli.console import Bar, print_json, print_table, say
from unrolled.cli.options import Beam, Features, Format, OwnEncoder, Photos, decoding
from unrolled.errors import InputError, UnrolledError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.evaluate import Evaluation, evaluate
from unrolled.jobs.events import Note
from unrolled.jobs.features import FeatureProgress
from unrolled.metrics import to_coco_results

EXAMPLE = "Example: unrolled evaluate run/best --data flickr8k --split dev"


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(name="evaluate", epilog=EXAMPLE)(evaluate_command)


def evaluate_command(
    model: Annotated[Path, typer.Argument(help='A model folder, or "default" for the shipped.')],
    data: Annotated[Path, typer.Option(help="Where the captions are.")],
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "dev",
    format: Format = None,  # noqa: A002 - the option's name
    photos: Photos = None,
    features: Features = None,
    encoder: OwnEncoder = None,
    beam: Beam = None,
    metrics: Annotated[
        str, typer.Option(help="Some of BLEU, ROUGE, CIDEr and METEOR (which needs Java).")
    ] = "BLEU,ROUGE,CIDEr",
    tokenizer: Annotated[
        str, typer.Option(help="unrolled, or ptb for the reference one (which needs Java).")
    ] = "unrolled",
    out: Annotated[
        Path | None, typer.Option(help="Write the captions here, in COCO's result format.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a captioner on captioned photos."""
    if out is not None:
        _check_place(out)
    captioner = Captioner.load(None if str(model) == "default" else model)
    config = DataConfig(
        path=str(data),
        format=format,
        photos=str(photos) if photos else None,
        features=str(features) if features else None,
    )
    search = decoding(captioner, beam)
    wanted = [name.strip() for name in metrics.split(",")]
    result = None
    with Bar("Encoding photos") as bar:
        for event in evaluate(
            captioner,
            config,
            split,
            metrics=wanted,
            tokenizer=tokenizer,
            decoding=search,
            encoder=encoder,
        ):
            if isinstance(event, FeatureProgress):
                bar.update(event.done, event.total)
                if event.bad:
                    say(f"skipped: {event.bad}")
            elif isinstance(event, Note):
                say(f"note: {event.text}")
            else:
                result = event
    assert isinstance(result, Evaluation)  # noqa: S101 - its last event
    corpus = result.scores.corpus
    if as_json:
        record = {"split": split, "photos": len(result.captions), "beam": search.width}
        record |= {"tokenizer": result.scores.tokenizer, "scores": corpus}
        print_json(record)
    else:
        say(f"{len(result.captions):,} photos of {split}, beam {search.width}, x 100:")
        print_table(tuple(corpus), [tuple(f"{100 * value:.1f}" for value in corpus.values())])
    if out is not None:  # last: the scores are told even if this fails
        _write(result, out)


def _check_place(out: Path) -> None:
    """Say before the long work that a file cannot be written."""
    if out.is_dir():
        raise InputError(f"{out}: a folder; name a file to write the captions to")
    if not out.parent.is_dir():
        raise InputError(f"{out}: cannot be written, there is no folder {out.parent}")


def _write(result: Evaluation, out: Path) -> None:
    texts = {name: caption.text for name, caption in result.captions.items()}
    try:
        out.write_text(json.dumps(to_coco_results(texts), indent=1), encoding="utf-8")
    except OSError as error:
        raise UnrolledError(f"{out}: cannot be written ({error.strerror})") from error
