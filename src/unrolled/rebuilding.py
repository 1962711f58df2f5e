"""A model rebuilt from what was saved of it, its configuration and its weights held together.

A configuration that a stranger wrote can ask for any sizes, so nothing is allocated before the
saved weights are known to have those sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.data import Vocabulary
from unrolled.errors import CheckpointError
from unrolled.layers.arrays import Array
from unrolled.layers.cells import CELLS
from unrolled.layers.scaling import FeatureScaling
from unrolled.model import MOST_LAYERS, CaptioningRNN, parameter_shapes
from unrolled.model.parameters import misfits

SCALING = ("feature_mean", "feature_scale")
"""What `FeatureScaling` is saved as, beside the parameters."""

DTYPES = ("float32", "float64")
"""What a model calculates in."""


def rebuild_model(
    vocabulary: Vocabulary, config: Mapping[str, Any], saved: Mapping[str, Array], path: Path
) -> CaptioningRNN:
    """Build a model from its configuration, with saved weights.

    Parameters
    ----------
    vocabulary : Vocabulary
    config : mapping
        `CaptioningRNN.config`, as it was saved.
    saved : mapping of str to array
        Its parameters, and what it standardises features by, if it does.
    path : Path
        Where they came from, for messages.

    Returns
    -------
    CaptioningRNN

    Raises
    ------
    CheckpointError
        If the weights do not fit the configuration or the vocabulary.
    KeyError, TypeError, ValueError
        If the configuration is none.
    """
    if config["dtype"] not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {config['dtype']!r}")
    wanted = _wanted_shapes(config, len(vocabulary))
    if saved.keys() & set(SCALING):
        wanted |= dict.fromkeys(SCALING, (config["input_dim"],))
    different = misfits(wanted, saved)
    if different:
        raise CheckpointError(
            f"{path}: the weights do not fit config.json and vocab.json ({different})"
        )
    params = {name: value for name, value in saved.items() if name not in SCALING}
    model = CaptioningRNN(vocabulary.word_to_idx, **config, params=params)
    if saved.keys() & set(SCALING):
        model.scaling = FeatureScaling(*(saved[name].astype(np.float32) for name in SCALING))
    return model


def scaling_to_save(model: CaptioningRNN) -> dict[str, Array]:
    """Name the arrays that a model standardises features by, for its checkpoint.

    Parameters
    ----------
    model : CaptioningRNN

    Returns
    -------
    dict of str to (D,) float32
        Empty where it does not.
    """
    return {} if model.scaling is None else dict(zip(SCALING, model.scaling, strict=True))


def _wanted_shapes(config: Mapping[str, Any], V: int) -> dict[str, tuple[int, ...]]:
    """Work out what shapes the parameters of a model have that nobody has built yet."""
    sizes = [config[name] for name in ("input_dim", "wordvec_dim", "hidden_dim")]
    if not all(type(size) is int and size >= 1 for size in sizes):
        raise ValueError(f"a model's widths must be whole numbers, 1 or more, got {sizes}")
    if config["cell_type"] not in tuple(CELLS):
        raise ValueError(f"cell_type must be one of {', '.join(CELLS)}, got {config['cell_type']}")
    D, W, H = sizes
    layers = config.get("num_layers", 1)  # there was no choice once
    if type(layers) is not int or not 1 <= layers <= MOST_LAYERS:
        raise ValueError(f"num_layers must be a whole number, 1 to {MOST_LAYERS}, got {layers!r}")
    options = {name: config.get(name, False) for name in ("layer_norm", "attention_gate")}
    return parameter_shapes(
        V, D, W, H, config["cell_type"], config["tie_weights"], layers, **options
    )
