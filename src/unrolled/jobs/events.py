"""What several jobs tell while they run."""

from __future__ import annotations

from typing import NamedTuple


class Note(NamedTuple):
    """Something worth telling the person, such as captions without a photo."""

    text: str
