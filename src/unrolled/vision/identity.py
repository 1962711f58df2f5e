"""Hold one encoder's identity against another's: a mismatch is an error, never gibberish."""

from __future__ import annotations

from collections.abc import Mapping

from unrolled.errors import EncoderError, UnrolledError

__all__ = ["check_identity"]


def check_identity(
    expected: Mapping[str, str],
    actual: Mapping[str, str],
    *,
    where: str,
    error: type[UnrolledError] = EncoderError,
) -> None:
    """Refuse features that were not made as they must have been.

    Parameters
    ----------
    expected, actual : mapping of str to str
        Two encoders' `Encoder.identity`.
    where : str
        What has the ``actual`` identity, for the message.
    error : type of UnrolledError
        What to raise.

    Raises
    ------
    UnrolledError
        Of the given type, naming each entry that differs and both its values.
    """
    keys = [*expected, *(key for key in actual if key not in expected)]
    differing = [
        f"{key} is {actual.get(key, 'not stated')!r}, expected {expected.get(key, 'none')!r}"
        for key in keys
        if expected.get(key) != actual.get(key)
    ]
    if differing:
        raise error(f"{where}: made by another encoder than the one needed: {'; '.join(differing)}")
