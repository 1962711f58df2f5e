"""What a training run is told: defaults, then a TOML file, then flags."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from unrolled.captioner import Decoding
from unrolled.errors import InputError, MissingExtraError
from unrolled.layers.precision import AUTO, choose_precision
from unrolled.model import check_options
from unrolled.training import TrainingConfig
from unrolled.vision.views import AUGMENTATIONS

T = TypeVar("T")

_NOUNS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which captions and features to train on.

    Attributes
    ----------
    path : str
        Where the captions are.
    format : str or None
        Their layout, one of `unrolled.data.FORMATS`; recognised unless given.
    photos : str or None
        Where the photos are, if not where the layout has them.
    features : str or None
        A feature store; made in the run's folder unless given.
    encoder : str
        What encodes the photos where there is no feature store; see
        `unrolled.vision.Encoder.load`.
    augment : str
        What training sees a photo as: ``"none"`` for as it is; ``"flip"`` to draw it or its mirror
        image in each epoch (captions that say left and right stay as they are); ``"crops"`` for
        also its four corners.
    standardise : bool
        Bring each feature to a mean of zero and a deviation of one over the training photos; what
        it takes to do so becomes part of the model. A run that begins with a captioner does to
        features what that does, and may not ask for more.
    min_count : int
        Times a word must stand in the training captions to be in the vocabulary.
    max_words : int
        Longer captions are cut, in training.
    bucket : bool
        Put captions of like length into a batch. Off, as packed sequences compute no padding
        anyway, and the one run tried with it fell behind on dev.
    """

    path: str = ""
    format: str | None = None
    photos: str | None = None
    features: str | None = None
    encoder: str = "lite0"
    augment: str = "none"
    standardise: bool = False
    min_count: int = 5
    max_words: int = 30
    bucket: bool = False

    def __post_init__(self) -> None:
        """Hold the numbers to their ranges, long before they are used."""
        _check_counts("data", self, "min_count", "max_words")
        if self.augment not in AUGMENTATIONS:
            raise InputError(
                f"data: augment must be one of {', '.join(AUGMENTATIONS)}, got {self.augment!r}"
            )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The model's sizes and options; see `unrolled.CaptioningRNN`.

    A run resolves the precision ``"auto"`` when it starts, and keeps what it resolved to.
    """

    cell_type: str = "lstm"
    wordvec_dim: int = 512
    hidden_dim: int = 512
    dropout: float = 0.5
    feature_dropout: float = 0.0
    attention_penalty: float = 0.0
    attention_gate: bool = False
    num_layers: int = 1
    layer_norm: bool = False
    forget_bias: float = 0.0
    tie_weights: bool = False
    precision: str = AUTO

    def __post_init__(self) -> None:
        """Hold every value to what a model can be built with, long before one is built."""
        options = dataclasses.asdict(self)
        precision = options.pop("precision")
        check_options("model", **options)
        choose_precision("model", precision, self.hidden_dim)


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything a training run is told, in the sections of its TOML file."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    decoding: Decoding = dataclasses.field(default_factory=Decoding)

    @classmethod
    def from_sections(cls, sections: Mapping[str, Any], where: str) -> RunConfig:
        """Build from sections of keys; what is not said keeps its default.

        Parameters
        ----------
        sections : mapping of str to mapping
        where : str
            Where they came from, for messages.

        Returns
        -------
        RunConfig

        Raises
        ------
        InputError
            If a section or key is unknown, or a value has the wrong type or range.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        _refuse_unknown(sections, known, f"{where}: section")
        built: dict[str, Any] = {}
        for name, section in sections.items():
            if not isinstance(section, Mapping):
                raise InputError(f"{where}: [{name}] must be a section of keys, got {section!r}")
            kind = known[name].default_factory
            built[name] = build(kind, section, f"{where}: [{name}]")  # type: ignore[arg-type]
        return cls(**built)

    def to_sections(self) -> dict[str, dict[str, Any]]:
        """Undo `from_sections`: every key said.

        Returns
        -------
        dict of str to dict
        """
        return dataclasses.asdict(self)


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Make a dataclass from a mapping, and say what is wrong with it if that fails.

    Parameters
    ----------
    kind : dataclass
    values : mapping
    where : str
        For messages.

    Returns
    -------
    instance of kind

    Raises
    ------
    InputError
        If a key is unknown, or a value not of its type.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _refuse_unknown(values, fields, f"{where}: key")
    checked = {}
    for name, value in values.items():
        kinds = str(fields[name].type).split(" | ")
        if "float" in kinds and type(value) is int and abs(value) < sys.float_info.max:
            value = float(value)
        if ("None" if value is None else type(value).__name__) not in kinds:
            raise InputError(f"{where}: {name} must be {_NOUNS[kinds[0]]}, got {value!r}")
        checked[name] = value
    return kind(**checked)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the file is missing or not TOML, with the line.
    MissingExtraError
        On Python 3.10 without tomli.
    """
    try:  # the standard library has it from Python 3.11 on
        toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ModuleNotFoundError:
        raise MissingExtraError(
            f'{path}: TOML on Python 3.10 needs tomli; pip install "unrolled[train]"'
        ) from None
    try:
        values: dict[str, Any] = toml.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    return values


def _refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise InputError(f"{where} {name!r} is unknown; {hint}")


def _check_counts(section: str, settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value < 1:
            raise InputError(f"{section}: {name} must be at least 1, got {value!r}")
