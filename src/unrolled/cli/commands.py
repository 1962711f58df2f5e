"""Which commands there are; each one's module is imported when it is asked for, and no other."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import typer
from typer.core import TyperGroup

MODULES = {
    "caption": "caption",
    "alt": "alt",
    "features": "features",
    "train": "train",
    "evaluate": "evaluate",
    "info": "model",
    "export": "model",
    "bench": "bench",
    "check": "check",
    "serve": "serve",
    "lab": "lab",
}
"""Each command's module in this room, in the order in which help lists them."""


class Commands(Mapping[str, Any]):
    """Each command by its name, made of its module when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Give a command, from its module."""
        if name not in self._made:
            app = typer.Typer()
            importlib.import_module(f"unrolled.cli.{MODULES[name]}").add_to(app)
            self._made.update(typer.main.get_group(app).commands)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        """Go over the names: nothing is imported for them."""
        return iter(MODULES)

    def __len__(self) -> int:
        """Count them."""
        return len(MODULES)


class Roof(TyperGroup):
    """The app as a group of these commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast("Any", Commands())  # nothing is ever added to them
