"""What can go wrong with a request, each with a code that stays the same."""

from __future__ import annotations

from typing import Any

CODES = {
    "bad_request": 400,
    "token_wanted": 401,
    "foreign_page": 403,
    "not_found": 404,
    "not_allowed": 405,
    "too_slow": 408,
    "request_too_large": 413,
    "photo_too_large": 413,
    "too_many_photos": 413,
    "wrong_type": 415,
    "unknown_host": 421,
    "bad_option": 422,
    "no_photo": 422,
    "photo_unreadable": 422,
    "busy": 429,
    "broken": 500,
    "interrupted": 503,
    "overdue": 503,
    "not_ready": 503,
}
"""The status of each."""

RETRY_AFTER = {"busy": 1, "interrupted": 1, "overdue": 5, "not_ready": 2}
"""Seconds after which it is worth trying again."""


class Problem(Exception):  # noqa: N818 - it is an answer to a person, as RFC 9457 has it
    """A request that is answered with a reason.

    Parameters
    ----------
    code : str
        One of `CODES`.
    message : str
        In the words of a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code]

    @property
    def headers(self) -> dict[str, str]:
        """When to try again, and how to ask."""
        headers = {}
        if self.code in RETRY_AFTER:
            headers["Retry-After"] = str(RETRY_AFTER[self.code])
        if self.code == "token_wanted":
            headers["WWW-Authenticate"] = "Bearer"
        return headers

    @property
    def body(self) -> dict[str, Any]:
        """What stands in the answer."""
        return {"error": {"code": self.code, "message": self.message}}
