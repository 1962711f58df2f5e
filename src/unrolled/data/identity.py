"""Hold one encoder's identity against another's: a mismatch is an error, never gibberish."""

from __future__ import annotations

from collections.abc import Mapping

from unrolled.errors import UnrolledError


def check_identity(
    expected: Mapping[str, str],
    actual: Mapping[str, str],
    *,
    where: str,
    remedy: str,
    error: type[UnrolledError],
) -> None:
    """Refuse features that were not made as they must have been.

    Parameters
    ----------
    expected, actual : mapping of str to str
        Two encoders' identities: name, checksum of the weights, preprocessing.
    where : str
        What has the ``actual`` identity, for the message.
    remedy : str
        What to do about it, a sentence for the message.
    error : type of UnrolledError
        What to raise.

    Raises
    ------
    UnrolledError
        Of the given type, naming every key that differs, what was expected, and what came.
    """
    keys = [*expected, *(key for key in actual if key not in expected)]
    different = [
        f"{key}: expected {_value(expected, key)}, got {_value(actual, key)}"
        for key in keys
        if expected.get(key) != actual.get(key)
    ]
    if different:
        raise error(
            f"{where}: made by another encoder than is wanted ({'; '.join(different)}). {remedy}"
        )


def _value(identity: Mapping[str, str], key: str) -> str:
    """Write a value so that one that is missing does not look like a text."""
    return repr(identity[key]) if key in identity else "nothing"
