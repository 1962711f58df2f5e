"""Recurrent image captioning with every gradient derived by hand."""

from typing import TYPE_CHECKING

from unrolled.errors import UnrolledError

if TYPE_CHECKING:
    from unrolled.model import CaptioningRNN

__version__ = "0.1.0"
__all__ = ["CaptioningRNN", "UnrolledError", "__version__"]


def __getattr__(name: str) -> object:
    """Load the model when it is first asked for (PEP 562): ``import unrolled`` costs no NumPy."""
    if name == "CaptioningRNN":
        from unrolled.model import CaptioningRNN

        return CaptioningRNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
