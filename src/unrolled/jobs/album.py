"""Photos captioned, however many, with what was done before taken from a journal."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.captioner import Caption, Captioners, Decoding
from unrolled.errors import ImageError, MetadataError
from unrolled.jobs.journal import Journal
from unrolled.jobs.journal_lines import NOWHERE, Entry, PhotoFile
from unrolled.jobs.metadata.photos import PLACES, Wrote
from unrolled.rebuilding import scaling_to_save


class AlbumProgress(NamedTuple):
    """How far `caption_album` has come.

    Attributes
    ----------
    done, total : int
        Photos that have been dealt with, of all there are; one that was named twice is one.
    problem : ImageError, MetadataError or None
        Why the latest photo was left out, or its alt text not written.
    left : bool
        Whether there was an alt text somewhere that it was to be written to, which was left alone.
    two : bool
        Whether it now has two alt texts that differ, one in it and one in its sidecar, of which one
        was not to be written.
    """

    done: int
    total: int
    problem: ImageError | MetadataError | None = None
    left: bool = False
    two: bool = False


@dataclasses.dataclass(frozen=True)
class Writing:
    """Where captions are written as alt text besides.

    Attributes
    ----------
    places : tuple of str
        Of `unrolled.jobs.metadata.photos.PLACES`.
    overwrite : bool
        Also where there is an alt text.
    """

    places: tuple[str, ...] = ()
    overwrite: bool = False

    def missing(self, entry: Entry) -> list[str]:
        """Name the places where a photo's alt text has still to be written.

        Parameters
        ----------
        entry : Entry

        Returns
        -------
        list of str
        """
        dealt_with = entry.written if self.overwrite else entry.written | entry.left
        return [place for place in self.places if place not in dealt_with]


def settings_of(
    captioners: Captioners, decoding: Decoding, count: int
) -> dict[str, str | int | float | bool]:
    """Say what captions depend on besides the photos, for a `Journal`.

    Parameters
    ----------
    captioners : Captioners
    decoding : Decoding
    count : int
        Captions that are kept of each photo.

    Returns
    -------
    dict of str to str, number or bool
        ``captioner`` is a checksum of the weights, the words and the encoder's identity.
    """
    digest = hashlib.sha256()
    for member in captioners.members:
        about = [member.model.config, dict(member.encoder), member.vocabulary.to_json()]
        digest.update(json.dumps(about, sort_keys=True).encode())
        for name, array in sorted({**member.model.params, **scaling_to_save(member.model)}.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return {
        "captioner": digest.hexdigest()[:16],
        "captions": count,
        **dataclasses.asdict(decoding),
    }


def caption_album(
    paths: Sequence[str],
    captioners: Captioners,
    journal: Journal,
    *,
    decoding: Decoding,
    count: int = 1,
    encoder: str | None = None,
    writing: Writing | None = None,
    skip_bad: bool = False,
) -> Iterator[AlbumProgress]:
    """Caption the photos that a journal has not, and write alt texts where they are missing.

    A photo's line is in the journal when its alt text is written, and not before: where a run is
    stopped between the two, the next one finds the alt text as it would write it.

    Parameters
    ----------
    paths : sequence of str
    captioners : Captioners
    journal : Journal
        Of these captioners' `settings_of`; its captions can be read from it meanwhile.
    decoding : Decoding
    count : int
        Captions that are kept of each photo.
    encoder : str, optional
        As in `Captioner.caption_photos`.
    writing : Writing, optional
    skip_bad : bool
        Tell of a photo that cannot be read, or not be written to, and go on.

    Yields
    ------
    AlbumProgress
        First of what was done before, then for each photo.

    Raises
    ------
    ImageError
        If a photo cannot be read and skip_bad is off.
    MetadataError
        If an alt text cannot be written and skip_bad is off; its caption is in the journal.
    DataError
        If the journal can take no more.
    """
    run = _Run(journal, writing or Writing(), skip_bad)
    new, unwritten = run.sort(paths)
    yield AlbumProgress(run.done, run.total)
    for photo, entry in unwritten:
        captions = journal.captions(photo.path)
        if captions is not None:
            yield run.keep(photo, captions, entry)
    if not new:
        return
    ahead = _Ahead(new)
    bad: list[ImageError] = []
    found = captioners.photo_candidates(
        ahead,
        decoding=decoding,
        on_error=(lambda _, error: bad.append(error)) if skip_bad else None,
        encoder=encoder,
    )
    for path, candidates in found:
        yield from run.leave_out(bad)
        yield run.keep(ahead.photo(path), candidates[:count], None)
    yield from run.leave_out(bad)


class _Run:
    """One run over an album: what is done of it, and how a photo gets done."""

    def __init__(self, journal: Journal, writing: Writing, skip_bad: bool) -> None:
        self.journal, self.writing, self.skip_bad = journal, writing, skip_bad
        self.done = self.total = 0

    def sort(self, paths: Sequence[str]) -> tuple[list[str], list[tuple[PhotoFile, Entry]]]:
        """Find the photos to be captioned, and those whose alt text alone is missing."""
        new: dict[str, str] = {}
        unwritten: dict[str, tuple[PhotoFile, Entry]] = {}
        seen: set[str] = set()
        for path in paths:
            try:
                photo = PhotoFile.of(path)
            except (OSError, ValueError):  # what is wrong with it is told at its turn
                self.journal.forget(path)
                new[path] = path
                continue
            if photo.path in seen:
                continue
            seen.add(photo.path)
            entry = self.journal.find(photo)
            if entry is None:
                new[photo.path] = path
            elif self.writing.missing(entry):
                unwritten[photo.path] = (photo, entry)
        self.total = len(seen | set(new))
        self.done = self.total - len(new) - len(unwritten)
        return list(new.values()), list(unwritten.values())

    def keep(
        self, photo: PhotoFile, captions: Sequence[Caption], entry: Entry | None
    ) -> AlbumProgress:
        """Write a photo's alt text where it is missing, and then its line."""
        entry = entry or Entry(0, 0, NOWHERE, NOWHERE, 0, 0)
        if _now(photo) != photo:
            return self._keep_outdated(photo, captions, entry)
        written, left = set(entry.written), set(entry.left)
        problem, two = None, False
        for place in self.writing.missing(entry):
            try:
                wrote = PLACES[place](photo.path, captions[0].text, self.writing.overwrite)
            except MetadataError as error:
                problem = error
                continue
            two = wrote is Wrote.BESIDE_ANOTHER  # unless that place is the next
            left.discard(place)
            (written if wrote else left).add(place)
        if "photo" in written - entry.written:  # what has changed since is our writing
            photo = _now(photo)
        self.journal.append(photo, captions, frozenset(written), frozenset(left))
        if problem is not None and not self.skip_bad:
            raise problem
        self.done += 1
        was_left = bool(left & set(self.writing.places))
        return AlbumProgress(self.done, self.total, problem, was_left, two)

    def _keep_outdated(
        self, photo: PhotoFile, captions: Sequence[Caption], entry: Entry
    ) -> AlbumProgress:
        """Write the line of a photo that is another by now: of what it was, so it is not done."""
        self.journal.append(photo, captions, entry.written, entry.left)
        self.done += 1
        problem = None
        if self.writing.missing(entry):
            problem = MetadataError(
                f"{photo.path}: changed since it was looked at; no alt text was written for it"
            )
        return AlbumProgress(self.done, self.total, problem)

    def leave_out(self, bad: list[ImageError]) -> Iterator[AlbumProgress]:
        """Tell of the photos that could not be read."""
        while bad:
            self.done += 1
            yield AlbumProgress(self.done, self.total, bad.pop(0))


class _Ahead:
    """Paths handed out to be captioned, and the state in which each photo was then."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._handed_out: deque[tuple[Path, PhotoFile]] = deque()

    def __iter__(self) -> Iterator[str]:
        for path in self._paths:
            try:
                photo = PhotoFile.of(path)
            except (OSError, ValueError):  # should it be captioned, it is not done by this state
                photo = PhotoFile(str(Path(path).absolute()), -1, -1)
            self._handed_out.append((Path(path), photo))
            yield path

    def photo(self, path: Path) -> PhotoFile:
        """Give the photo of a path that comes back; those before it will not."""
        while True:
            given, photo = self._handed_out.popleft()
            if given == path:
                return photo


def _now(photo: PhotoFile) -> PhotoFile:
    try:
        return PhotoFile.of(photo.path)
    except OSError:  # it has gone, and is not done
        return photo
