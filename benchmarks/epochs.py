"""The training epoch as a good PyTorch user writes it: DataLoader, fused Adam, clipping."""

from __future__ import annotations

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from benchmarks.pytorch import Minibatch, Model, loss_of
from unrolled.jobs.bench import Run, Work
from unrolled.jobs.bench.cases import BATCH
from unrolled.jobs.bench.ours import DROPOUT, RECIPE


class Captions(Dataset):
    """Whole minibatches by the rows of their captions."""

    def __init__(self, work: Work) -> None:
        (self.features,), (self.captions,), self.rows = work.features, work.captions, work.rows

    def __len__(self) -> int:
        """Captions in all."""
        return len(self.captions)

    def __getitem__(self, chosen: list[int]) -> Minibatch:
        """Give a minibatch, cut to its longest caption."""
        return Minibatch.of(self.features[self.rows[chosen]], self.captions[chosen])


def epoch(work: Work, layout: str, autocast: bool) -> Run:
    """Train for an epoch; the outcome is the mean loss per token."""
    data = Captions(work)

    def run() -> float:
        torch.manual_seed(RECIPE.seed)
        model = Model(work.model(), DROPOUT).train()
        parameters = [p for name, p in model.named_parameters() if name != "rnn.bias_hh_l0"]
        model.rnn.bias_hh_l0.requires_grad_(False)  # ours has one bias for a gate
        optimizer = torch.optim.Adam(parameters, lr=RECIPE.learning_rate, fused=True)
        sampler = BatchSampler(RandomSampler(data), BATCH, drop_last=False)
        nats = tokens = 0.0
        for batch in DataLoader(data, sampler=sampler, batch_size=None):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model, batch, layout, autocast)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, RECIPE.clip_norm)
            optimizer.step()
            nats += float(loss.detach()) * len(batch.features)
            tokens += int(batch.lengths.sum())
        return nats / tokens

    return run
