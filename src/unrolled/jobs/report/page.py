"""The page itself: every text that comes from outside is escaped on its way in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any, NamedTuple

from unrolled.jobs.evaluate import Evaluation
from unrolled.metrics import Diversity

SHORT = 80
"""Characters of a line on top; what has longer ones is folded up."""


class Card(NamedTuple):
    """One photo of a report.

    Attributes
    ----------
    name : str
        The photo's.
    caption : str
    log_prob : float
        Nats.
    references : sequence of str
    scores : dict of str to float
        Its own, by name.
    picture : str or None
        A data URI; None where the photo is not there.
    """

    name: str
    caption: str
    log_prob: float
    references: Sequence[str]
    scores: dict[str, float]
    picture: str | None


def page(
    result: Evaluation,
    title: str,
    facts: Mapping[str, Mapping[str, Any]],
    cards: Sequence[Card],
    sorted_by: str,
) -> str:
    """Put a report together.

    Parameters
    ----------
    result : Evaluation
    title : str
    facts : mapping of str to mapping
        Sections of lines for the top.
    cards : sequence of Card
        In the order in which they stand without a script.
    sorted_by : str
        The score that this is the order of, the lowest first.

    Returns
    -------
    str
        HTML.
    """
    style, script = _inlined("page.css"), _inlined("page.js")
    keys = [*result.scores.captions, "log-probability", "words"]
    shown, there = len(cards), len(result.scores.photos)
    which = (
        f"All {there:,} photos"
        if shown == there
        else (f"{shown:,} of {there:,} photos: those with the lowest and the highest {sorted_by}")
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#photos">Skip to the photos</a>
<header>
<h1>{escape(title)}</h1>
<div class="summary">
{_scores(result)}
{_against(result)}
{_diversity(result)}
{"".join(_fact(heading, lines) for heading, lines in facts.items())}
</div>
</header>
<form id="controls" hidden>
<label>Sort by <select id="key">{"".join(_option(key, sorted_by) for key in keys)}</select></label>
<fieldset><legend>Order</legend>
<label><input type="radio" name="order" value="worst" checked> worst first</label>
<label><input type="radio" name="order" value="best"> best first</label>
</fieldset>
<label>Only with <input type="search" id="words" placeholder="words" autocomplete="off"></label>
<output id="count" aria-live="polite"></output>
</form>
<main id="photos" tabindex="-1">
<p class="which">{escape(which)}. Scores are times 100.</p>
<div id="cards">
{"".join(_card(card, keys) for card in cards)}</div>
</main>
<script>{script}</script>
</body>
</html>
"""


def _scores(result: Evaluation) -> str:
    rows = [
        (name, f"{100 * value:.1f}", _between(*result.intervals[name]))
        for name, value in result.scores.corpus.items()
    ]
    return _table("Scores", ("", "× 100", "95 % interval"), rows)


def _against(result: Evaluation) -> str:
    if result.against is None:
        return ""
    rows = [
        (name, f"{100 * c.difference:+.1f}", _between(c.low, c.high), f"{c.p:.4f}")
        for name, c in result.against.items()
    ]
    return _table("Beside the other captioner", ("", "difference", "95 % interval", "p"), rows)


def _between(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _diversity(result: Evaluation) -> str:
    model, people = diversity_lines(result.diversity), diversity_lines(result.people)
    rows = [(name, said, people[name]) for name, said in model.items()]
    return _table("Diversity", ("", "model", "people"), rows)


def diversity_lines(found: Diversity) -> dict[str, str]:
    """Say for people what captions are like.

    Parameters
    ----------
    found : Diversity

    Returns
    -------
    dict of str to str
        By what is said.
    """
    new = "not known" if found.novel is None else f"{100 * found.novel:.1f} %"
    lines = {
        "not said in training": new,
        "different captions": f"{100 * found.different:.1f} %",
        "vocabulary used": f"{found.vocabulary:,}",
    }
    for n, share in enumerate(found.distinct, start=1):
        lines[f"distinct {n}-grams"] = f"{100 * share:.1f} %"
    lines["words, mean"] = f"{found.mean_length:.1f}"
    lines["words"] = f"{found.shortest} to {found.longest}"
    return lines


def _table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f"<section><h2>{escape(heading)}</h2><table><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table></section>"
    )


def _fact(heading: str, lines: Mapping[str, Any]) -> str:
    if not lines:
        return ""
    texts = {str(name): _plain(value) for name, value in lines.items()}
    said = "".join(f"<dt>{escape(n)}</dt><dd>{escape(text)}</dd>" for n, text in texts.items())
    if max(map(len, texts.values())) > SHORT:
        return f"<details><summary>{escape(heading)}</summary><dl>{said}</dl></details>"
    return f"<section><h2>{escape(heading)}</h2><dl>{said}</dl></section>"


def _plain(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _option(key: str, chosen: str) -> str:
    return f"<option{' selected' if key == chosen else ''}>{escape(key)}</option>"


def _card(card: Card, keys: Sequence[str]) -> str:
    values = [*card.scores.values(), card.log_prob, len(card.caption.split())]
    numbers = " ".join(f"{value:.6g}" for value in values)
    shown = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{100 * value:.1f}</dd></div>"
        for name, value in card.scores.items()
    )
    said = "".join(f"<li>{escape(text)}</li>" for text in card.references)
    picture = (
        f'<img src="{escape(card.picture)}" alt="" loading="lazy">'
        if card.picture
        else '<div class="gone">The photo is not there.</div>'
    )
    return f"""<article data-values="{numbers}">
{picture}
<h3 dir="auto">{escape(card.caption) or "(nothing)"}</h3>
<ul aria-label="People said" dir="auto">{said}</ul>
<dl>{shown}<div><dt>{escape(keys[-2])}</dt><dd>{card.log_prob:.2f}</dd></div></dl>
<p class="name" dir="auto">{escape(card.name)}</p>
</article>
"""


def _inlined(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
