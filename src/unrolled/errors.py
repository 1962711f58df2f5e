"""The one tree of errors that Unrolled raises on purpose.

::

    UnrolledError
    ├── InputError (ValueError)        an argument that cannot be right
    │   ├── ShapeError                   arrays whose shapes do not fit together
    │   └── DTypeError                   arrays whose dtypes do not fit together
    ├── DataError                      a file of the user's that cannot be used
    │   ├── CaptionFileError             captions: says the file and the line
    │   ├── ImageError                   a photo: says the path and the reason
    │   ├── MetadataError                what is said about a photo, in it or beside it
    │   └── FeatureStoreError            a feature store: damaged, or of another encoder
    ├── CheckpointError                a model folder: damaged, incomplete, or foreign
    ├── EncoderError                   an encoder: unknown, or its weights unreadable
    └── MissingExtraError (ImportError)  an optional package that is not installed

A message says where, what was expected, what came, and what to do. The command line prints it
after ``error:`` and exits with status 2; anything outside this tree is a bug of ours.
"""

from __future__ import annotations


class UnrolledError(Exception):
    """Base of every error that Unrolled raises on purpose."""


class InputError(UnrolledError, ValueError):
    """An argument has a value that cannot be right."""


class ShapeError(InputError):
    """Arrays have shapes that do not fit together."""


class DTypeError(InputError):
    """Arrays have dtypes that do not fit together."""


class DataError(UnrolledError):
    """A file of the user's cannot be used."""


class CaptionFileError(DataError):
    """A caption file cannot be read; the message names the file and the line."""


class ImageError(DataError):
    """A photo cannot be read; the message names the path and the reason."""


class MetadataError(DataError):
    """A photo's metadata, in it or in a file beside it, cannot be read or written."""


class FeatureStoreError(DataError):
    """A feature store is damaged, or was made by another encoder than the model wants."""


class CheckpointError(UnrolledError):
    """A model folder is damaged, incomplete, or not one of ours."""


class EncoderError(UnrolledError):
    """An encoder is unknown, or its weights cannot be read."""


class MissingExtraError(UnrolledError, ImportError):
    """An optional package is not installed; the message says what to install."""
