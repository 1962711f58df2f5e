"""The directive ``{room} unrolled.layers``: everything public in a room, from its docstrings.

Public is what `scripts/check_docs.py` holds to its docstring: a name without an underscore that the
room shows and that comes from within it. A room that shows nothing of its own shows its modules.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def public_things(module: ModuleType) -> dict[str, Any]:
    """Give the functions and classes that a room shows.

    Parameters
    ----------
    module : module

    Returns
    -------
    dict
        By name; file by file, in the order in which they stand there.
    """
    home = module.__name__
    things = {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and f"{thing.__module__}.".startswith(f"{home}.")
    }
    return dict(sorted(things.items(), key=lambda item: _place(item[1])))


def _place(thing: Any) -> tuple[str, int]:
    return thing.__module__, inspect.getsourcelines(thing)[1]


def entries(module: ModuleType) -> Iterator[str]:
    """Write the directives of a room.

    Parameters
    ----------
    module : module

    Yields
    ------
    str
        Lines of reStructuredText.
    """
    things = public_things(module)
    if not things and hasattr(module, "__path__"):
        for info in pkgutil.iter_modules(module.__path__, f"{module.__name__}."):
            inner = importlib.import_module(info.name)
            if public_things(inner):
                yield from entries(inner)
        return
    yield from (f".. automodule:: {module.__name__}", "")
    for name, thing in things.items():
        kind = "function" if inspect.isfunction(thing) else "class"
        if kind == "class" and issubclass(thing, BaseException):
            kind = "exception"
        yield f".. auto{kind}:: {module.__name__}.{name}"
        if kind == "class":
            yield "   :members:"
        yield ""


class Room(SphinxDirective):
    """Write the reference of a room."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Give what autodoc makes of it."""
        lines = entries(importlib.import_module(self.arguments[0]))
        return self.parse_text_to_nodes("\n".join(["```{eval-rst}", *lines, "```"]))


def skip_bare_fields(
    app: Sphinx,  # noqa: ARG001
    what: str,  # noqa: ARG001
    name: str,  # noqa: ARG001
    thing: object,
    skip: bool,
    options: object,  # noqa: ARG001
) -> bool:
    """Leave out a tuple's fields that nobody described: "Alias for field number 2"."""
    return skip or str(getattr(thing, "__doc__", "")).startswith("Alias for field number")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("room", Room)
    app.connect("autodoc-skip-member", skip_bare_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
