"""What the assignment asks: each function's arguments, outputs and the functions it stands on."""

from __future__ import annotations

from typing import NamedTuple

PROFILES = ("numpy", "torch")
MODEL = "CaptioningRNN"


class Spec(NamedTuple):
    """One function: names and shapes, in order."""

    name: str
    kind: str  # forward, backward, loss, model
    args: tuple[tuple[str, str], ...]
    outs: tuple[tuple[str, str], ...]
    forward: str = ""  # of a backward: its forward
    helpers: tuple[str, ...] = ()

    @property
    def letters(self) -> set[str]:
        """The sizes it has."""
        return {c for _, axes in self.args for c in axes if c.isupper()}


def _names(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``x:N D, Wx:D 4H``."""
    pairs = (item.strip().split(":") for item in text.split(","))
    return tuple((name, axes) for name, axes in pairs)


_RNN_STEP = _names("x:N D, prev_h:N H, Wx:D H, Wh:H H, b:H")
_RNN = _names("x:N T D, h0:N H, Wx:D H, Wh:H H, b:H")
_LSTM_STEP = _names("x:N D, prev_h:N H, prev_c:N H, Wx:D 4H, Wh:H 4H, b:4H")
_LSTM = _names("x:N T D, h0:N H, Wx:D 4H, Wh:H 4H, b:4H")
_AFFINE = _names("x:N T D, w:D M, b:M")
_WORDS = _names("x:N T ids, W:V D")


def _gradients(args: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((f"d{name}", axes) for name, axes in args if "ids" not in axes)


def _pair(
    stem: str, args: tuple[tuple[str, str], ...], outs: str, helpers: tuple[str, ...] = ()
) -> tuple[Spec, Spec]:
    """Give a forward and its backward."""
    forward = Spec(f"{stem}_forward", "forward", args, _names(outs), helpers=helpers)
    backward = Spec(
        f"{stem}_backward", "backward", args, _gradients(args), forward.name, helpers=helpers
    )
    return forward, backward


_LAYERS = (
    *_pair("rnn_step", _RNN_STEP, "next_h:N H"),
    *_pair("rnn", _RNN, "h:N T H", ("rnn_step",)),
    *_pair("word_embedding", _WORDS, "out:N T D"),
    *_pair("lstm_step", _LSTM_STEP, "next_h:N H, next_c:N H"),
    *_pair("lstm", _LSTM, "h:N T H", ("lstm_step",)),
    *_pair("temporal_affine", _AFFINE, "out:N T M"),
    Spec(
        "temporal_softmax_loss",
        "loss",
        _names("x:N T V, y:N T ids, mask:N T mask"),
        _names("loss:, dx:N T V"),
    ),
)
_STEMS = ("rnn_step", "rnn", "word_embedding", "lstm_step", "lstm", "temporal_affine")
_MODEL = tuple(
    Spec(f"{MODEL}.{method}", "model", (), (), helpers=(*_STEMS, "temporal_softmax_loss"))
    for method in ("loss", "sample")
)

SPECS: dict[str, Spec] = {spec.name: spec for spec in (*_LAYERS, *_MODEL)}


def specs_of(profile: str) -> tuple[Spec, ...]:
    """Give the functions of a profile, those that others stand on first.

    Parameters
    ----------
    profile : "numpy" or "torch"

    Returns
    -------
    tuple of Spec
    """
    if profile == "numpy":
        return tuple(SPECS.values())
    forwards = (s for s in SPECS.values() if s.kind != "backward")
    return tuple(s._replace(outs=s.outs[:1]) if s.kind == "loss" else s for s in forwards)


def functions_of(stem: str) -> tuple[str, ...]:
    """Give the functions that a helper's stem stands for.

    Parameters
    ----------
    stem : str

    Returns
    -------
    tuple of str
    """
    return tuple(n for n in (f"{stem}_forward", f"{stem}_backward", stem) if n in SPECS)


KNOWN = frozenset(name for name in SPECS if "." not in name)
"""Functions by which a file is recognised, beside the class ``CaptioningRNN``."""
