"""``unrolled train``: captions and photos to a captioner."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from unrolled.captioner import Captioner
from unrolled.cli.console import Bar, say, say_at_signal
from unrolled.cli.options import Encoder, Features, Format, Photos
from unrolled.errors import InputError
from unrolled.jobs.config import RunConfig, read_toml
from unrolled.jobs.events import Note, Started
from unrolled.jobs.features import FeatureProgress
from unrolled.jobs.run_folder import holds_run, saved_config
from unrolled.jobs.starting import model_section
from unrolled.jobs.train import RunEvent, train_run
from unrolled.layers.cells import CELLS
from unrolled.training import EpochDone, Finished, StepDone, TrainingConfig

EXAMPLE = """Examples:

unrolled train --data flickr8k --out run

unrolled train --config recipe.toml --out run --epochs 30

unrolled train --out run --resume

unrolled train --data flickr8k --start run/best --objective self-critical --out better
"""


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(train)


def train(
    out: Annotated[Path, typer.Option(help="The run's folder.")],
    data: Annotated[Path | None, typer.Option(help="Where the captions are.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file; flags go before it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    format: Format = None,  # noqa: A002 - the option's name
    photos: Photos = None,
    features: Features = None,
    encoder: Encoder = None,
    augment: Annotated[
        str | None, typer.Option(help="none, flip or crops: what training sees a photo as.")
    ] = None,
    standardise: Annotated[
        bool | None, typer.Option(help="Bring features to mean 0 and deviation 1.")
    ] = None,
    min_count: Annotated[int | None, typer.Option(help="Rarer words are unknown words.")] = None,
    start: Annotated[
        str | None, typer.Option(help="A captioner's folder, whose weights to begin with.")
    ] = None,
    cell: Annotated[str | None, typer.Option(help=f"One of {', '.join(CELLS)}.")] = None,
    wordvec_dim: Annotated[int | None, typer.Option(help="Width of the word vectors.")] = None,
    hidden_dim: Annotated[int | None, typer.Option(help="Width of the recurrence.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Probability to drop a number.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    objective: Annotated[
        str | None, typer.Option(help="cross-entropy, or self-critical: CIDEr-D as the reward.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data, at most.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Captions a step.")] = None,
    rule: Annotated[str | None, typer.Option(help="adam, adamw, sgd or rmsprop.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Its highest value.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="constant, cosine, linear, step or exponential.")
    ] = None,
    warmup_steps: Annotated[int | None, typer.Option(help="Steps of a rising rate.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient; 0 for any.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="On matrices only.")] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Share of each target spread over all words.")
    ] = None,
    scheduled_sampling: Annotated[
        float | None, typer.Option(help="Share of words in that are the model's own, at the end.")
    ] = None,
    ema_decay: Annotated[
        float | None, typer.Option(help="Of the weights' moving average, which is then kept.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better score; 0 never stops early.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
) -> None:
    """Train a captioner. Ctrl-C saves it; --resume goes on as if it had never stopped."""
    flags: dict[str, dict[str, Any]] = {
        "data": {
            "path": str(data) if data else None,
            "format": format,
            "photos": str(photos) if photos else None,
            "features": str(features) if features else None,
            "encoder": encoder,
            "augment": augment,
            "standardise": standardise,
            "min_count": min_count,
        },
        "model": {
            "cell_type": cell,
            "wordvec_dim": wordvec_dim,
            "hidden_dim": hidden_dim,
            "dropout": dropout,
            "precision": precision,
        },
        "training": {
            "objective": objective,
            "start": start,
            "epochs": epochs,
            "batch_size": batch_size,
            "rule": rule,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "warmup_steps": warmup_steps,
            "clip_norm": clip_norm,
            "weight_decay": weight_decay,
            "label_smoothing": label_smoothing,
            "scheduled_sampling": scheduled_sampling,
            "ema_decay": ema_decay,
            "patience": patience,
            "seed": seed,
        },
    }
    settings = _settings(out, config, flags, resume=resume)
    if not settings.data.path:
        raise InputError("train: say where the captions are, with --data or in the TOML file")
    with _stopping() as stop:
        command = shlex.join(["unrolled", *sys.argv[1:]])
        try:
            events = train_run(settings, out, resume=resume, command=command, stop=stop)
            _show(events, out, settings.training)
        except KeyboardInterrupt:
            say(_how_to_go_on("stopped at once.", out))
            raise typer.Exit(130) from None


def _settings(
    out: Path, config: Path | None, flags: dict[str, dict[str, Any]], *, resume: bool
) -> RunConfig:
    """Lay flags over the TOML file over the saved run, or the captioner to begin with."""
    where = "flags"
    sections: dict[str, dict[str, Any]] = saved_config(out) if resume else {}
    if config is not None:
        where = f"{config} and flags"
        for name, section in read_toml(config).items():
            if isinstance(section, dict):
                sections[name] = sections.get(name, {}) | section
            else:
                raise InputError(f"{config}: {name} stands outside a section such as [training]")
    for name, section in flags.items():
        given = {key: value for key, value in section.items() if value is not None}
        sections[name] = sections.get(name, {}) | given
    start = sections["training"].get("start")
    if isinstance(start, str) and start and not resume:
        sections["model"] = model_section(Captioner.load(start)) | sections["model"]
    return RunConfig.from_sections(sections, where)


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a wish to stop; a second one stops at once.

    So does the first until somebody asks about the wish: photos are encoded before the first step.
    """
    wished = asked = False

    def on_interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal wished
        if wished or not asked:
            raise KeyboardInterrupt
        wished = True
        say_at_signal("\nstopping after this step; Ctrl-C once more stops at once.")

    def stop() -> bool:
        nonlocal asked
        asked = True
        return wished

    before = {
        number: signal.signal(number, on_interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(events: Iterator[RunEvent], out: Path, config: TrainingConfig) -> None:
    """Show a run's events, and at its end what to do with it."""
    best = reason = None
    total = 0
    with Bar("Reading") as bar:
        for event in events:
            if isinstance(event, FeatureProgress):
                bar.update(event.done, event.total, what="Encoding photos")
                if event.bad:
                    say(f"skipped: {event.bad}")
            elif isinstance(event, StepDone):
                reward = "" if event.reward is None else f"reward {event.reward:.3f}  "
                status = (
                    f"epoch {event.epoch}  {reward}{event.loss:.3f} nats/token  "
                    f"{event.tokens_per_second:,.0f} tokens/s"
                )
                bar.update(event.step, total, status, what="Training")
            elif isinstance(event, Started):
                total = event.epochs * event.batches_per_epoch
                say(_describe_start(event))
            elif isinstance(event, EpochDone):
                best = event.epoch if event.is_best else best
                say(_describe_epoch(event))
            elif isinstance(event, Note):
                say(f"note: {event.text}")
            elif isinstance(event, Finished):
                reason = event.reason
    if reason == "interrupted":
        say(_how_to_go_on("stopped and saved.", out))
        raise typer.Exit(130)
    if reason == "early_stop":
        epochs = "an epoch" if config.patience == 1 else f"{config.patience} epochs"
        say(f"stopped early: {config.best_by} got no better in {epochs}.")
    if (out / "best").is_dir():
        where = f" (epoch {best})" if best else ""
        found, folder = f"the best captioner{where} is", out / "best"
    else:
        found, folder = f"{config.best_by} was no number in any epoch; the latest is", out / "last"
    say(f"{found} in {folder}; try: {shlex.join(['unrolled', 'info', str(folder)])}")


def _how_to_go_on(what: str, out: Path) -> str:
    if not holds_run(out):
        return f"{what} The same command goes on from here."
    return f"{what} Go on with: {shlex.join(['unrolled', 'train', '--out', str(out), '--resume'])}"


def _describe_start(event: Started) -> str:
    going_on = f"; going on after step {event.step:,}" if event.step else ""
    return (
        f"{event.parameters:,} parameters, {event.words:,} words, "
        f"{event.batches_per_epoch:,} steps an epoch, {event.precision}{going_on}"
    )


def _describe_epoch(event: EpochDone) -> str:
    scores = "  ".join(f"{name} {value:.4f}" for name, value in event.scores.items())
    mark = "  best" if event.is_best else ""
    reward = "" if event.train_reward is None else f"train_reward {event.train_reward:.4f}  "
    return f"epoch {event.epoch}: train_loss {event.train_loss:.4f}  {reward}{scores}{mark}"
