"""Recurrent image captioning with every gradient derived by hand."""

__version__ = "0.1.0"
