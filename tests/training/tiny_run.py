"""A training run small enough to be repeated hundreds of times, on the real model and batches."""

import sys
from pathlib import Path

import numpy as np

from unrolled import checkpoint
from unrolled.data.batches import CaptionBatches
from unrolled.model import CaptioningRNN
from unrolled.training import StepDone, TrainingConfig, TrainingState, train

WORDS = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "runs"]
VOCAB = {word: i for i, word in enumerate(WORDS)}
SETTINGS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.02, "patience": 0}
BATCHES_PER_EPOCH = 4
STEPS = 2 * BATCHES_PER_EPOCH


def make_model(seed=1):
    return CaptioningRNN(VOCAB, 5, 3, 4, cell_type="lstm", seed=seed, dropout=0.3)


def make_batches(seed=0):
    rng = np.random.default_rng(7)
    lengths = rng.integers(3, 7, size=13)
    captions = rng.integers(3, len(WORDS), size=(13, 6))
    captions[:, 0] = VOCAB["<START>"]
    for row, length in zip(captions, lengths, strict=True):
        row[length - 1] = VOCAB["<END>"]
        row[length:] = VOCAB["<NULL>"]
    features = rng.normal(size=(5, 5)).astype(np.float32)
    return CaptionBatches(captions, lengths, rng.integers(0, 5, size=13), features, 4, seed)


def make_score(model):
    """A score that depends on the weights alone, and goes up and down between epochs."""
    batch = next(make_batches().epoch(0))

    def score():
        loss = float(model.loss(batch.features, batch.captions).loss)
        return {"val_loss": loss, "CIDEr": abs(np.sin(100 * loss))}

    return score


def make_save(model, folder):
    def save(kind, state):
        checkpoint.save(
            folder / kind,
            params=model.params,
            config={"model": model.config},
            vocab=VOCAB,
            optimizer=state.arrays(),
            state=state.to_dict(),
        )

    return save


def start(folder, config, *, stop=lambda: False):
    """Begin a run: an iterator of events that saves into the folder."""
    model = make_model()
    save, score = make_save(model, folder), make_score(model)
    return train(model, make_batches(), config, score=score, save=save, stop=stop)


def go_on(folder, config, *, stop=lambda: False):
    """Go on with a run, knowing nothing but its files."""
    found = checkpoint.load(folder / "last", resume=True)
    model = make_model(seed=99)
    model.params = found.params
    return train(
        model,
        make_batches(),
        config,
        score=make_score(model),
        save=make_save(model, folder),
        state=TrainingState.from_dict(found.state, found.optimizer),
        stop=stop,
    )


def all_bytes(folder):
    """Every file of a run."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def main():
    """Run as a process that can be killed, from the start or on: FOLDER EPOCHS."""
    folder = Path(sys.argv[1])
    config = TrainingConfig(**{**SETTINGS, "epochs": int(sys.argv[2])}, save_every_steps=1)
    events = go_on(folder, config) if (folder / "last").exists() else start(folder, config)
    for event in events:
        if isinstance(event, StepDone):
            print(event.step, flush=True)


if __name__ == "__main__":
    main()
