"""Recurrent image captioning with every gradient derived by hand."""

from unrolled.errors import UnrolledError
from unrolled.model import CaptioningRNN

__version__ = "0.1.0"
__all__ = ["CaptioningRNN", "UnrolledError", "__version__"]
