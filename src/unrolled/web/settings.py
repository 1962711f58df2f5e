"""What the service is told: where it listens, whom it answers, and what it takes at most."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from pathlib import Path

from unrolled.errors import InputError

TOKEN_VARIABLE = "UNROLLED_TOKEN"  # noqa: S105 - the name of a variable
LEAST_TOKEN = 16

_RANGES = {
    "port": (0, 65_535),
    "photo_bytes": (1, 1 << 30),
    "photo_pixels": (1, 1_000_000_000),
    "request_photos": (1, 1000),
    "request_bytes": (1, 1 << 32),
    "queue": (1, 100_000),
    "seconds": (1, 3600),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a service listens and what it takes; the defaults are safe ones.

    Attributes
    ----------
    models : tuple of str
        As `Captioners.load` takes them; the captioner that ships unless there is one.
    encoder : str or None
        As `unrolled.captioner.Captioner.caption_photos` takes it.
    host, port : str, int
        Port 0 is any that is free.
    names : tuple of str
        Names that the service is called by in a browser, besides ``host`` and this machine's own:
        those of a proxy before it. Where it listens only to this machine, requests under another
        name are refused: a page elsewhere may have had its name changed to mean this machine.
    token : str or None
        What a request must bear to be answered.
    photo_bytes, photo_pixels : int
        Of one photo at most.
    request_photos, request_bytes : int
        Of one request at most.
    queue : int
        Photos that wait or are worked on at most; what comes beyond is told to come again. It holds
        those of one request.
    seconds : int
        For a request to arrive, and as long again for its answer.

    Raises
    ------
    InputError
        If a number is out of range, the queue holds no whole request, or the token is too short.
    """

    models: tuple[str, ...] = ()
    encoder: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    names: tuple[str, ...] = ()
    token: str | None = None
    photo_bytes: int = 20 << 20
    photo_pixels: int = 64_000_000
    request_photos: int = 32
    request_bytes: int = 100 << 20
    queue: int = 128
    seconds: int = 60

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"serve: {name} must be from {low:,} to {high:,}, got {value:,}")
        if self.queue < self.request_photos:
            raise InputError(
                f"serve: a queue of {self.queue:,} never takes a request of "
                f"{self.request_photos:,} photos; raise --queue or lower --request-photos"
            )
        if self.token is not None and (
            len(self.token) < LEAST_TOKEN
            or not all("!" <= character <= "~" for character in self.token)
        ):
            raise InputError(
                f"serve: a token has at least {LEAST_TOKEN} characters of ASCII, no spaces; make "
                'one with: python -c "import secrets; print(secrets.token_urlsafe())"'
            )

    @property
    def held_bytes(self) -> int:
        """Bytes of photos that all requests together may hold; at least one whole request."""
        return max(512 << 20, self.request_bytes)

    @property
    def stop_seconds(self) -> int:
        """Within which all is answered that has begun to come, and the answers are read."""
        return 2 * self.seconds + 5

    @property
    def is_private(self) -> bool:
        """Whether only programs on this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_token(path: Path | None) -> str | None:
    """Find the token: in a file, or in the environment; never among the arguments, which all see.

    Parameters
    ----------
    path : Path, optional

    Returns
    -------
    str or None
        None where neither is given.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    if path is None:
        return os.environ.get(TOKEN_VARIABLE)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the token cannot be read ({error})") from error
