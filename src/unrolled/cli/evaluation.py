"""An evaluation told to a person in tables, and to a program in one record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from unrolled.captioner import Captioner, Decoding
from unrolled.cli.console import print_table
from unrolled.jobs.evaluate import SEED, Evaluation
from unrolled.jobs.report.page import diversity_lines
from unrolled.metrics import RESAMPLES

CARD = ("what it is", "data used", "good for", "limits", "biases", "licence")
"""What of a model card a report shows."""


def print_tables(result: Evaluation) -> None:
    """Print scores with their intervals, what captions are like, and the test if there is one.

    Parameters
    ----------
    result : Evaluation
    """
    scores = result.scores.corpus
    print_table(
        ("", *scores),
        [
            ("score", *(f"{100 * value:.1f}" for value in scores.values())),
            ("95 % from", *(f"{100 * result.intervals[name].low:.1f}" for name in scores)),
            ("to", *(f"{100 * result.intervals[name].high:.1f}" for name in scores)),
        ],
    )
    if result.against is not None:
        found = result.against.values()
        print_table(
            ("against the other", *result.against),
            [
                ("difference", *(f"{100 * each.difference:+.1f}" for each in found)),
                ("95 % from", *(f"{100 * each.low:+.1f}" for each in found)),
                ("to", *(f"{100 * each.high:+.1f}" for each in found)),
                ("p", *(f"{each.p:.4f}" for each in found)),
            ],
        )
    model, people = diversity_lines(result.diversity), diversity_lines(result.people)
    print_table(
        ("captions", "model", "people"),
        [(name, said, people[name]) for name, said in model.items()],
    )


def as_record(result: Evaluation, split: str, search: Decoding) -> dict[str, Any]:
    """Make one record of everything.

    Parameters
    ----------
    result : Evaluation
    split : str
    search : Decoding

    Returns
    -------
    dict
        Ready for JSON; scores are fractions.
    """
    record = {
        "split": split,
        "photos": len(result.captions),
        "beam": search.width,
        "decoding": dataclasses.asdict(search),
        "tokenizer": result.scores.tokenizer,
        "scores": result.scores.corpus,
        "intervals": {
            "level": 0.95,
            "resamples": RESAMPLES,
            "seed": SEED,
            **{name: list(ends) for name, ends in result.intervals.items()},
        },
        "diversity": dataclasses.asdict(result.diversity),
        "diversity_of_people": dataclasses.asdict(result.people),
    }
    if result.against is not None:
        record["against"] = {name: each._asdict() for name, each in result.against.items()}
    own = result.scores.captions
    record["captions"] = [
        {
            "photo": name,
            "caption": result.captions[name].text,
            "log_prob": result.captions[name].log_prob,
            "scores": {metric: float(values[row]) for metric, values in own.items()},
            "references": list(result.references[name]),
        }
        for row, name in enumerate(result.scores.photos)
    ]
    return record


def about(captioner: Captioner, search: Decoding) -> dict[str, Mapping[str, Any]]:
    """Say what a report says of the captioner itself.

    Parameters
    ----------
    captioner : Captioner
    search : Decoding

    Returns
    -------
    dict of str to mapping
        Sections of lines.
    """
    model = {
        "cell": captioner.model.cell_type,
        "parameters": sum(each.size for each in captioner.model.params.values()),
        "words known": len(captioner.vocabulary),
        "encoder": captioner.encoder.get("name", "not known"),
    }
    card = {key: captioner.card[key] for key in CARD if key in captioner.card}
    return {"Decoding": dataclasses.asdict(search), "Model": model, "Model card": card}
