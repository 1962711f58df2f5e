"""``unrolled evaluate``: a captioner's scores on captioned photos."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from unrolled.captioner import Captioners, Wishes
from unrolled.cli.console import Bar, print_json, say
from unrolled.cli.evaluation import about, as_record, print_tables
from unrolled.cli.options import Format, OwnEncoder, Photos
from unrolled.cli.searching import describe, searching
from unrolled.errors import InputError, UnrolledError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.evaluate import Evaluation, evaluate
from unrolled.jobs.events import Note
from unrolled.jobs.features import FeatureProgress
from unrolled.jobs.report import write_report
from unrolled.metrics import to_coco_results

EXAMPLE = """Examples:

unrolled evaluate run/best --data flickr8k --split dev --report dev.html

unrolled evaluate run/best --data flickr8k --against default

unrolled evaluate one two --data flickr8k --beam 5
"""


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(name="evaluate", epilog=EXAMPLE)(searching(evaluate_command))


def evaluate_command(
    model: Annotated[
        list[Path],
        typer.Argument(
            help='A model folder, or "default" or "strong", which ship; several speak together.'
        ),
    ],
    data: Annotated[Path, typer.Option(help="Where the captions are.")],
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "dev",
    format: Format = None,  # noqa: A002 - the option's name
    photos: Photos = None,
    features: Annotated[
        list[Path] | None,
        typer.Option(help="A feature store for each encoder, instead of encoding the photos."),
    ] = None,
    encoder: OwnEncoder = None,
    metrics: Annotated[
        str,
        typer.Option(
            help="Some of BLEU, ROUGE, CIDEr, CIDEr-D, CIDEr-2015, METEOR (which needs Java) and "
            "SPICE (which needs Java and a parser)."
        ),
    ] = "BLEU,ROUGE,CIDEr",
    tokenizer: Annotated[
        str, typer.Option(help="unrolled, or ptb for the reference one (which needs Java).")
    ] = "unrolled",
    against: Annotated[
        Path | None,
        typer.Option(
            help="Test the scores against those of another model (a folder or a name), or of "
            "captions that --out wrote."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write an HTML file of photos, captions and scores, best and worst."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the captions here, in COCO's result format.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    *,
    wishes: Wishes,
) -> None:
    """Score a captioner on captioned photos."""
    for file in (out, report):
        if file is not None:
            _check_place(file)
    captioners = Captioners.load(model)
    config = DataConfig(
        path=str(data),
        format=format,
        photos=str(photos) if photos else None,
    )
    search = wishes.over(captioners.decoding)
    other = None if against is None else _other(against, wishes)
    result = _evaluate(
        evaluate(
            captioners,
            config,
            split,
            features=features or (),
            metrics=[name.strip() for name in metrics.split(",")],
            tokenizer=tokenizer,
            decoding=search,
            encoder=encoder,
            against=other,
        )
    )
    if as_json:
        print_json(as_record(result, split, search))
    else:
        say(f"{len(result.captions):,} photos of {split}, {describe(search)}, x 100:")
        print_tables(result)
    if out is not None:  # last: the scores are told even if this fails
        _write(result, out)
    if report is not None:
        captioner = captioners.members[0]
        name = captioner.card.get("name") if len(model) == 1 else None
        title = f"{name or ' + '.join(map(str, model))} on {split} of {data.name or data}"
        _report(report, result, title, about(captioner, search))


def _other(against: Path, wishes: Wishes) -> Captioners | Path:
    """Find what to compare with: a file of captions, or a model that searches as asked for."""
    if against.is_file():
        return against
    [other] = Captioners.load([against]).members
    return Captioners((dataclasses.replace(other, decoding=wishes.over(other.decoding)),))


def _evaluate(events: Iterable[FeatureProgress | Note | Evaluation]) -> Evaluation:
    result = None
    with Bar("Encoding photos") as bar:
        for event in events:
            if isinstance(event, FeatureProgress):
                bar.update(event.done, event.total)
                if event.bad:
                    say(f"skipped: {event.bad}")
            elif isinstance(event, Note):
                say(f"note: {event.text}")
            else:
                result = event
    assert result is not None  # noqa: S101 - its last event
    return result


def _report(
    file: Path, result: Evaluation, title: str, facts: Mapping[str, Mapping[str, Any]]
) -> None:
    with Bar("Making the report") as bar:
        for done, total in write_report(file, result, title, facts):
            bar.update(done, total)
    say(f"wrote {file}: {file.stat().st_size / 1e6:.1f} MB.")


def _check_place(out: Path) -> None:
    """Say before the long work that a file cannot be written."""
    if out.is_dir():
        raise InputError(f"{out}: a folder; name a file to write to")
    if not out.parent.is_dir():
        raise InputError(f"{out}: cannot be written, there is no folder {out.parent}")
    try:
        if out.exists():
            out.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from error


def _write(result: Evaluation, out: Path) -> None:
    texts = {name: caption.text for name, caption in result.captions.items()}
    try:
        out.write_text(json.dumps(to_coco_results(texts), indent=1), encoding="utf-8")
    except OSError as error:
        raise UnrolledError(f"{out}: cannot be written ({error.strerror})") from error
