"""A training run's captioner scored after each epoch, and saved with its scores on its card."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import numpy as np

from unrolled.captioner import Captioner, Decoding
from unrolled.data import RowsOfFeatures
from unrolled.jobs.data import Split
from unrolled.metrics import ReferenceSet
from unrolled.model import CaptioningRNN
from unrolled.training import TrainingState

GREEDY = Decoding(width=1)
SCORES = ("val_loss", "CIDEr", "BLEU-4")
"""What a model is scored by after each epoch."""

SCORING_BATCH = 256
"""Captions whose validation loss is taken together."""


@dataclasses.dataclass
class ScoredRun:
    """What scoring and saving share: the captioner, and its latest scores for the card."""

    captioner: Captioner
    out: Path
    dev: Split

    def __post_init__(self) -> None:
        self.references = ReferenceSet(self.dev.references)
        self.scores: dict[str, float] = {}
        # A scorer that is missing must not come to light after the first epoch.
        self._score({name: texts[0] for name, texts in self.dev.references.items()})

    def score(self) -> dict[str, float]:
        """Score the model on dev: loss in nats per token, and the greedy captions."""
        features = RowsOfFeatures(self.dev.features, self.dev.photo_rows)
        with np.errstate(over="ignore", invalid="ignore"):  # the loop says when training diverges
            captions = self.captioner.caption_features(features, decoding=GREEDY)
            val_loss = validation_loss(self.captioner.model, self.dev)
        texts = {name: c.text for name, c in zip(self.dev.references, captions, strict=True)}
        scores = {"val_loss": val_loss} | self._score(texts)
        self.scores = {name: scores[name] for name in SCORES}
        return self.scores

    def _score(self, texts: dict[str, str]) -> dict[str, float]:
        return self.references.score(texts, metrics=("BLEU", "CIDEr")).corpus

    def save(self, kind: str, state: TrainingState) -> None:
        """Write the captioner, with what going on needs unless it is the best."""
        card = {**self.captioner.card, "epoch": state.epoch, "step": state.step}
        card.pop("dev", None)
        if self.scores and not state.batch:  # the scores are of these very weights
            # JSON has no infinity; a run that diverges shall say so itself, a step later.
            scores = {k: v if math.isfinite(v) else None for k, v in self.scores.items()}
            card["dev"] = {"decoding": dataclasses.asdict(GREEDY), "scores": scores}
        captioner = dataclasses.replace(self.captioner, card=card)
        if kind == "best":
            captioner.save(self.out / kind)
        else:
            captioner.save(self.out / kind, optimizer=state.arrays(), state=state.to_dict())


def validation_loss(model: CaptioningRNN, split: Split) -> float:
    """Take the loss of a split's words, nothing dropped and no attention penalised.

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
    model = copy.copy(model)
    model.attention_penalty = 0.0  # it is no word's
    features = RowsOfFeatures(split.features, split.caption_rows)
    for start in range(0, len(split.captions), SCORING_BATCH):
        rows = slice(start, start + SCORING_BATCH)
        captions = split.captions[rows]
        nats += float(model.loss(features[rows], captions).loss) * len(captions)
        tokens += int(split.lengths[rows].sum()) - len(captions)
    return nats / tokens
