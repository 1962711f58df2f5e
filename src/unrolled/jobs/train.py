"""A training run: a folder in which a captioner grows, and from which it can go on growing.

::

    RUN/best/                  the best captioner so far, for use
    RUN/last/                  the latest, with what going on needs
    RUN/log.jsonl              an event a line
    RUN/curves.png             loss and scores by epoch
    RUN/features.safetensors   features of the photos, where none were given
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import unrolled
from unrolled import checkpoint, plots
from unrolled.captioner import Captioner, Decoding
from unrolled.data import CaptionBatches
from unrolled.errors import CheckpointError, InputError
from unrolled.jobs.config import RunConfig
from unrolled.jobs.data import Split, TrainingData, prepare
from unrolled.jobs.features import FeatureProgress
from unrolled.metrics import ReferenceSet
from unrolled.model import CaptioningRNN
from unrolled.training import (
    EpochDone,
    Event,
    TrainingState,
    event_record,
    open_log,
    read_log,
    train,
)

GREEDY = Decoding(width=1)
SCORING_BATCH = 256
"""Captions whose validation loss is taken together."""


class Note(NamedTuple):
    """Something worth telling the person, such as captions without a photo."""

    text: str


class Started(NamedTuple):
    """A run's data are ready and its first step is next."""

    epochs: int
    batches_per_epoch: int
    step: int
    """Steps done before, where the run goes on."""
    parameters: int
    words: int


RunEvent = Note | FeatureProgress | Started | Event


def train_run(
    config: RunConfig,
    out: str | Path,
    *,
    resume: bool = False,
    command: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[RunEvent]:
    """Train a captioner in a folder, or go on with one that stopped.

    Parameters
    ----------
    config : RunConfig
    out : path
        The run's folder.
    resume : bool
        Go on from ``out/last``, to the same bits as if the run had never stopped.
    command : str
        What the person ran, for the model card.
    stop : callable
        Asked between steps; when true the run is saved and ends.

    Yields
    ------
    RunEvent

    Raises
    ------
    InputError
        If the folder holds a run already, or settings were changed in its midst.
    CheckpointError
        If there is nothing to go on from, or it is damaged.
    UnrolledError
        Whatever `prepare` and `unrolled.training.train` raise.
    """
    plots.check_installed()
    out = _make_folder(Path(out))
    saved = _load_last(out) if resume else None
    if saved is None and any((out / name).exists() for name in ("last", "best")):
        raise InputError(
            f"{out} holds a training run already; go on with --resume, or name another folder"
        )
    previous = Captioner.from_checkpoint(saved, out / "last") if saved else None
    data = None
    for event in prepare(config.data, out, previous.vocabulary if previous else None):
        if isinstance(event, TrainingData):
            data = event
        else:
            yield event
    assert data is not None  # noqa: S101 - prepare's last event
    yield from map(Note, data.notes)
    captioner = previous or _new_captioner(config, data, command)
    if previous:
        _check_same_run(config, previous, data)
    batches = CaptionBatches(
        data.train.captions,
        data.train.lengths,
        data.train.caption_rows,
        data.train.features,
        config.training.batch_size,
        config.training.seed,
    )
    state = None
    if saved:
        state = TrainingState.from_dict(saved.state or {}, saved.optimizer or {})
    run = _Run(captioner, out, data.dev)
    events = train(
        captioner.model,
        batches,
        config.training,
        score=run.score,
        save=run.save,
        state=state,
        stop=stop,
        null=data.vocabulary.null,
    )
    step = state.step if state else 0
    size = sum(p.size for p in captioner.model.params.values())
    yield Started(config.training.epochs, len(batches), step, size, len(data.vocabulary))
    yield from _logged(events, config, out)


def saved_config(out: str | Path) -> dict[str, Any]:
    """Read the settings of the run in a folder.

    Parameters
    ----------
    out : path

    Returns
    -------
    dict
        Sections, as `RunConfig.from_sections` takes them.

    Raises
    ------
    CheckpointError
        If there is no run to go on with.
    """
    card = _load_last(Path(out)).config.get("card", {})
    run: dict[str, Any] = card.get("run", {})
    return run


@dataclasses.dataclass
class _Run:
    """What scoring and saving share: the captioner, and its latest scores for the card."""

    captioner: Captioner
    out: Path
    dev: Split

    def __post_init__(self) -> None:
        self.references = ReferenceSet(self.dev.references)
        self.scores: dict[str, float] = {}

    def score(self) -> dict[str, float]:
        """Score the model on dev: loss in nats per token, and the greedy captions."""
        features = np.asarray(self.dev.features[self.dev.photo_rows])
        captions = self.captioner.caption_features(features, decoding=GREEDY)
        texts = {name: c.text for name, c in zip(self.dev.references, captions, strict=True)}
        scores = self.references.score(texts, metrics=("BLEU", "CIDEr")).corpus
        self.scores = {"val_loss": validation_loss(self.captioner.model, self.dev)} | {
            name: scores[name] for name in ("CIDEr", "BLEU-4")
        }
        return self.scores

    def save(self, kind: str, state: TrainingState) -> None:
        """Write the captioner, with what going on needs unless it is the best."""
        card = {**self.captioner.card, "epoch": state.epoch, "step": state.step}
        card.pop("dev", None)
        if self.scores and not state.batch:  # the scores are of these very weights
            card["dev"] = {"decoding": dataclasses.asdict(GREEDY), "scores": self.scores}
        captioner = dataclasses.replace(self.captioner, card=card)
        if kind == "best":
            captioner.save(self.out / kind)
        else:
            captioner.save(self.out / kind, optimizer=state.optimizer, state=state.to_dict())


def validation_loss(model: CaptioningRNN, split: Split) -> float:
    """Take the loss over a split's captions, nothing dropped.

    Parameters
    ----------
    model : CaptioningRNN
    split : Split

    Returns
    -------
    float
        Nats per token.
    """
    nats = tokens = 0.0
    for start in range(0, len(split.captions), SCORING_BATCH):
        rows = slice(start, start + SCORING_BATCH)
        captions = split.captions[rows]
        features = np.ascontiguousarray(split.features[split.caption_rows[rows]])
        nats += float(model.loss(features, captions).loss) * len(captions)
        tokens += int(split.lengths[rows].sum()) - len(captions)
    return nats / tokens


def _new_captioner(config: RunConfig, data: TrainingData, command: str) -> Captioner:
    model = CaptioningRNN(
        data.vocabulary.word_to_idx,
        data.train.features.shape[1],
        seed=config.training.seed,
        **dataclasses.asdict(config.model),
    )
    card = {
        "command": command,
        "data": {
            "path": Path(config.data.path).name,
            "photos": {"train": len(data.train.photo_rows), "dev": len(data.dev.photo_rows)},
            "captions": {"train": len(data.train.captions), "dev": len(data.dev.captions)},
            "words": len(data.vocabulary),
        },
        "run": config.to_sections(),
        "made with": {
            "unrolled": unrolled.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    return Captioner(model, data.vocabulary, data.encoder, config.decoding, card)


def _make_folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the run's folder cannot be made ({error.strerror})") from error
    return out


def _load_last(out: Path) -> checkpoint.Checkpoint:
    if not out.is_dir() or not any(out.iterdir()):
        raise CheckpointError(f"{out}: there is no run to go on with; start one without --resume")
    return checkpoint.load(out / "last", resume=True)


def _check_same_run(config: RunConfig, previous: Captioner, data: TrainingData) -> None:
    """Hold a run that goes on to what decided its weights so far."""
    before = RunConfig.from_sections(previous.card["run"], "the run")
    changes = [
        f"{field.name} was {getattr(old, field.name)!r}, is {getattr(new, field.name)!r}"
        for old, new in ((before.model, config.model), (before.data, config.data))
        for field in dataclasses.fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
        and field.name not in ("path", "photos", "features", "format")  # data may have moved
    ]
    if dict(previous.encoder) != dict(data.encoder):
        changes.append(f"the features were made by {previous.encoder}, are by {data.encoder}")
    if changes:
        raise InputError(
            f"training cannot go on as if it had never stopped: {'; '.join(changes)}. "
            "Undo the change, or start a new run"
        )


def _logged(events: Iterator[Event], config: RunConfig, out: Path) -> Iterator[Event]:
    """Write events to the log as they pass, and draw the plot after each epoch."""
    path = out / "log.jsonl"
    with open_log(path) as log:
        for event in events:
            log.write(json.dumps(event_record(event)) + "\n")
            if isinstance(event, EpochDone):
                records = read_log(path)
                plots.plot_run(records, out / "curves.png", best_by=config.training.best_by)
            yield event
