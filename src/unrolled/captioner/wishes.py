"""What a person has said of how captions are found, laid over a captioner's own way."""

from __future__ import annotations

import dataclasses
from typing import Any

from unrolled.captioner.decoding import WIDEST, Decoding
from unrolled.errors import InputError

FOR_SEARCH = ("length_norm", "groups", "diversity")
FOR_DRAWING = ("temperature", "top_k", "top_p", "seed")

DIVERSITY = 0.5
"""Where groups are asked for and nothing else is said: what Vijayakumar et al. found to do well."""


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What a person has said of how captions are found, option by option."""

    said: dict[str, Any]

    def over(self, own: Decoding, count: int | None = None) -> Decoding:
        """Lay them over a captioner's own way.

        Parameters
        ----------
        own : Decoding
        count : int, optional
            How many captions of a photo are wanted.

        Returns
        -------
        Decoding

        Raises
        ------
        InputError
            If they cannot be had together.
        """
        changes = {name: value for name, value in self.said.items() if name != "beam"}
        beam = self.said.get("beam")
        if "forbid" in changes:
            changes["forbid"] = " ".join([own.forbid, *changes["forbid"]]).strip()
        if "groups" in changes:
            changes.setdefault("diversity", own.diversity or DIVERSITY)
        searches = beam is not None or any(name in changes for name in FOR_SEARCH)
        if changes.get("sample") or (own.sample and not searches):
            if beam is not None:
                raise InputError(
                    "--beam is for the search, and --sample draws; --n-best says how many are drawn"
                )
            base = _without(own, FOR_SEARCH)
            if not own.sample:
                base["consensus"] = False
                base["width"] = 1
            base["width"] = count or base["width"]
        else:
            base = _without(own, ("sample", *FOR_DRAWING))
            if count is not None and beam is not None and count > beam:
                raise InputError(
                    f"--n-best {count} wants a beam of at least {count}, got --beam {beam}"
                )
            base["width"] = max(own.width, count or 1) if beam is None else beam
            groups = changes.get("groups", base["groups"])
            if beam is None and 0 < groups <= WIDEST:  # one that nobody named is shared by groups
                wider = base["width"] + -base["width"] % groups
                base["width"] = wider if wider <= WIDEST else WIDEST // groups * groups
            if "length_norm" in changes:
                base["consensus"] = False
            elif changes.get("consensus"):
                base["length_norm"] = 0.0
        if changes.get("consensus") and base["width"] == 1:
            one = "only one is drawn" if changes.get("sample") else "a beam of 1 finds one"
            raise InputError(
                f"consensus chooses among captions, and {one}; ask for more, or leave out consensus"
            )
        return Decoding(**base | changes)


def _without(own: Decoding, names: tuple[str, ...]) -> dict[str, Any]:
    """Give a way of decoding with some of its settings at their defaults."""
    values = dataclasses.asdict(own)
    defaults = dataclasses.asdict(Decoding())
    return values | {name: defaults[name] for name in names}
