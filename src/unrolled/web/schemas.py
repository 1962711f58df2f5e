"""What is asked and answered, as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from unrolled.captioner import Decoding, Wishes
from unrolled.errors import InputError
from unrolled.web.problems import CODES, Problem

WIDEST = 20
LONGEST = 50


class Options(BaseModel):
    """How captions are found; as the captioner does it unless something is said."""

    model_config = ConfigDict(extra="forbid")

    beam: int | None = Field(None, ge=1, le=WIDEST, description="Width of the search; 1 is greedy.")
    consensus: bool | None = Field(
        None, description="Prefer the caption that the others of the beam agree with."
    )
    sample: bool = Field(False, description="Draw captions instead of searching for the best.")
    temperature: float | None = Field(None, ge=0.05, le=10, description="Where captions are drawn.")
    top_p: float | None = Field(None, gt=0, le=1, description="Where captions are drawn.")
    seed: int | None = Field(None, ge=0, le=2**53 - 1, description="Of the captions drawn.")
    min_length: int | None = Field(None, ge=0, le=LONGEST, description="Words at least.")
    max_length: int | None = Field(None, ge=1, le=LONGEST, description="Words at most.")
    n_best: int | None = Field(
        None, ge=1, le=WIDEST, description="Candidates of each photo, best first."
    )
    details: bool = Field(False, description="Also what is behind each caption.")

    def over(self, own: Decoding) -> Decoding:
        """Lay what was said over the captioner's own way.

        Parameters
        ----------
        own : Decoding

        Returns
        -------
        Decoding

        Raises
        ------
        Problem
            ``bad_option`` where it cannot be had together.
        """
        if self.sample and self.beam is not None:
            raise Problem("bad_option", "beam is for the search, and sample draws; leave out one.")
        if self.beam is not None and (self.n_best or 1) > self.beam:
            raise Problem("bad_option", "n_best wants a beam that is at least as wide.")
        said = self.model_dump(exclude={"n_best", "details"}, exclude_none=True)
        if not self.sample:
            del said["sample"]
        try:
            return Wishes(said).over(own, self.n_best)
        except InputError as error:
            raise Problem("bad_option", str(error).removeprefix("Decoding: ") + ".") from error


class Reason(BaseModel):
    """Why something was not done."""

    code: Literal[tuple(CODES)]  # type: ignore[valid-type]
    message: str


class Refusal(BaseModel):
    """The answer to a request that cannot be granted."""

    error: Reason


class Candidate(BaseModel):
    """A caption, with its log-probability in nats."""

    caption: str
    log_prob: float


class Captioned(BaseModel):
    """What came of one photo: a caption, or the reason why there is none."""

    index: int = Field(description="Its place in the request.")
    name: str = Field(description="As the form named it.")
    caption: str | None = None
    log_prob: float | None = Field(None, description="Nats.")
    candidates: list[Candidate] | None = None
    details: dict[str, Any] | None = None
    error: Reason | None = None


class Answer(BaseModel):
    """Of each photo of the request, in its order."""

    photos: list[Captioned]


class Model(BaseModel):
    """One captioner of those that speak here together."""

    name: str
    cell: str
    words: int
    encoder: str
    attends: bool
    limits: str


class Limits(BaseModel):
    """What one request may have."""

    photo_bytes: int
    photo_pixels: int
    request_photos: int
    request_bytes: int


class Models(BaseModel):
    """Who speaks here, and how."""

    models: list[Model]
    decoding: dict[str, Any]
    limits: Limits


class State(BaseModel):
    """How the service is."""

    status: str
