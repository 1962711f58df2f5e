"""``unrolled lab``: pictures of what happens inside, and the numbers that they draw."""

from __future__ import annotations

import typer

from unrolled.cli.lab import batches, captions, models

EXAMPLES = """Examples:

unrolled lab words holiday.jpg

unrolled lab gradients --data flickr8k --out gradients.svg

unrolled lab beam holiday.jpg --beam 5 --out beam.json
"""


def add_to(app: typer.Typer) -> None:
    """Give the app these commands."""
    lab = typer.Typer(
        name="lab",
        help="Draw what happens inside: gradients, gates, words, beams, attention, word vectors.",
        epilog=EXAMPLES,
        no_args_is_help=True,
    )
    for module in (batches, captions, models):
        module.add_to(lab)
    app.add_typer(lab)
