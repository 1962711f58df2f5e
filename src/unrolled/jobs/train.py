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
import platform
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

import unrolled
from unrolled import plots
from unrolled.captioner import Captioner
from unrolled.data import CaptionBatches
from unrolled.errors import InputError
from unrolled.jobs.config import RunConfig
from unrolled.jobs.data import TrainingData, fingerprint, measure_scaling, prepare
from unrolled.jobs.events import Note, Started
from unrolled.jobs.features import FeatureProgress
from unrolled.jobs.rewards import CiderReward
from unrolled.jobs.run_folder import holds_run, load_last, make_folder
from unrolled.jobs.run_lock import run_lock
from unrolled.jobs.run_log import check_log, logged
from unrolled.jobs.scoring import SCORES, ScoredRun
from unrolled.jobs.starting import begin_with, load_start
from unrolled.layers.cells import CELLS
from unrolled.layers.precision import AUTO, choose_precision
from unrolled.model import CaptioningRNN
from unrolled.training import Event, Reward, TrainingState, train

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
        If the folder holds a run already, or another training is at work there, or settings were
        changed in its midst.
    CheckpointError
        If there is nothing to go on from, or it is damaged.
    DataError
        If the run's log cannot be read or written.
    UnrolledError
        Whatever `prepare` and `unrolled.training.train` raise.
    """
    plots.check_installed()
    if config.training.best_by not in SCORES:
        raise InputError(
            f"training: best_by must be one of {', '.join(SCORES)}, got {config.training.best_by!r}"
        )
    out = make_folder(Path(out))
    with run_lock(out):
        yield from _train_in(out, config, resume, command, stop)


def _train_in(
    out: Path, config: RunConfig, resume: bool, command: str, stop: Callable[[], bool]
) -> Iterator[RunEvent]:
    """Train in a folder that nobody else trains in."""
    saved = load_last(out) if resume else None
    if saved is None and holds_run(out):
        raise InputError(
            f"{out} holds a training run already; go on with --resume, or name another folder"
        )
    check_log(out)
    previous = Captioner.from_checkpoint(saved, out / "last") if saved else None
    start = load_start(config) if config.training.start and not previous else None
    config = _with_precision(config, previous)
    data = None
    known, grid = previous or start, CELLS[config.model.cell_type].attends
    for event in prepare(config.data, out, known.vocabulary if known else None, grid=grid):
        if isinstance(event, TrainingData):
            data = event
        else:
            yield event
    assert data is not None  # noqa: S101 - prepare's last event
    yield from map(Note, data.notes)
    if previous:
        _check_same_run(config, previous, data)
        card = {**previous.card, "run": config.to_sections()}  # of the next one who goes on
        captioner = dataclasses.replace(previous, decoding=config.decoding, card=card)
    else:
        captioner = _new_captioner(config, data, command, start)
    batches = CaptionBatches(
        data.train.captions,
        data.train.lengths,
        data.train.caption_rows,
        data.train.features,
        config.training.batch_size,
        config.training.seed,
        bucket=config.data.bucket,
        more_views=data.train.more_views,
    )
    state = None
    if saved:
        state = TrainingState.from_dict(saved.state or {}, saved.optimizer or {})
    run = ScoredRun(captioner, out, data.dev)
    events = train(
        captioner.model,
        batches,
        config.training,
        score=run.score,
        save=run.save,
        state=state,
        stop=stop,
        null=data.vocabulary.null,
        reward=_reward(config, data),
        max_length=data.train.captions.shape[1] - 1,
    )
    step, model = state.step if state else 0, captioner.model
    size = sum(p.size for p in model.params.values())
    started = Started(
        config.training.epochs, len(batches), step, size, len(data.vocabulary), model.precision
    )
    yield from logged(chain([started], events), out, step=step, best_by=config.training.best_by)


def _with_precision(config: RunConfig, previous: Captioner | None) -> RunConfig:
    """Resolve the precision, once for a whole run: one that goes on keeps what it had."""
    model = config.model
    if model.precision != AUTO:
        return config
    precision = (
        previous.model.precision if previous else choose_precision("model", AUTO, model.hidden_dim)
    )
    return dataclasses.replace(config, model=dataclasses.replace(model, precision=precision))


def _reward(config: RunConfig, data: TrainingData) -> Reward | None:
    """Make what captions are rewarded by, where they are."""
    if config.training.objective != "self-critical":
        return None
    return CiderReward(data.train, data.vocabulary)


def _new_captioner(
    config: RunConfig, data: TrainingData, command: str, start: Captioner | None
) -> Captioner:
    model = CaptioningRNN(
        data.vocabulary.word_to_idx,
        data.train.features.shape[-1],
        seed=config.training.seed,
        **dataclasses.asdict(config.model),
    )
    if config.data.standardise and not start:
        model.scaling = measure_scaling(data.train)
    if start:
        begin_with(model, start, data, config.training.start)
    card = {
        "command": command,
        "data": {
            "path": Path(config.data.path).name,
            "photos": {"train": len(data.train.photo_rows), "dev": len(data.dev.photo_rows)},
            "captions": {"train": len(data.train.captions), "dev": len(data.dev.captions)},
            "words": len(data.vocabulary),
            "sha256": {"train": fingerprint(data.train), "dev": fingerprint(data.dev)},
        },
        "run": config.to_sections(),
        "made with": {
            "unrolled": unrolled.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    return Captioner(model, data.vocabulary, data.encoder, config.decoding, card)


def _changed_data(before: object, data: TrainingData) -> list[str]:
    """Say which splits are not those that a run's card tells of, if it tells of any."""
    digests = before.get("sha256") if isinstance(before, Mapping) else None
    if not isinstance(digests, Mapping):
        return []
    return [
        f"the captions or photos of {name} have changed"
        for name, split in (("train", data.train), ("dev", data.dev))
        if digests.get(name) != fingerprint(split)
    ]


def _check_same_run(config: RunConfig, previous: Captioner, data: TrainingData) -> None:
    """Hold a run that goes on to what decided its weights so far."""
    before = _with_precision(RunConfig.from_sections(previous.card["run"], "the run"), previous)
    changes = [
        f"{field.name} was {getattr(old, field.name)!r}, is {getattr(new, field.name)!r}"
        for old, new in ((before.model, config.model), (before.data, config.data))
        for field in dataclasses.fields(old)
        if getattr(old, field.name) != getattr(new, field.name)
        and field.name not in ("path", "photos", "features", "format")  # data may have moved
    ]
    changes += _changed_data(previous.card.get("data"), data)
    if dict(previous.encoder) != dict(data.encoder):
        changes.append(f"the features were made by {previous.encoder}, are by {data.encoder}")
    if changes:
        raise InputError(
            f"training cannot go on as if it had never stopped: {'; '.join(changes)}. "
            "Undo the change, or start a new run"
        )
