"""Load a student's modules, and put right helpers in place of wrong ones where that is asked.

This runs in the student's process.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from unrolled.check import supplied
from unrolled.check.calls import described
from unrolled.check.spec import KNOWN, MODEL

Sources = Mapping[str, tuple[str, str]]


def load(sources: Sources, profile: str, roots: list[str], replaced: Iterable[str]) -> Any:
    """Load the modules and find the assignment's functions in them.

    Parameters
    ----------
    sources : mapping of str to (label, text)
    profile : "numpy" or "torch"
    roots : list of str
        Other names of the student's package.
    replaced : iterable of str
        Functions to be put right before anything is called.

    Returns
    -------
    namespace : dict of str to callable
    failures : dict of str to error, by module
    """
    helpers = right_helpers(profile)
    supplied.install(sources, helpers, roots)
    failures: dict[str, Any] = {}
    loaded = [_load(name, sources, failures) for name in sources]
    modules = [module for module in loaded if module is not None]
    names = gather(modules)
    put_right(modules, names, helpers, replaced)
    return names, failures


def right_helpers(profile: str) -> dict[str, Any]:
    """Give the right functions of a profile.

    Parameters
    ----------
    profile : "numpy" or "torch"

    Returns
    -------
    dict of str to callable
    """
    if profile == "torch":
        from unrolled.check import plain_torch

        return plain_torch.functions()
    return supplied.numpy_helpers()


def gather(modules: Iterable[types.ModuleType]) -> dict[str, Any]:
    """Find the assignment's functions and class, each in the first module that defines it.

    Parameters
    ----------
    modules : iterable of module

    Returns
    -------
    dict of str to callable
    """
    names: dict[str, Any] = {}
    for module in modules:
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == module.__name__
            if (name in KNOWN or name == MODEL) and callable(value) and own:
                names.setdefault(name, value)
    return names


def _load(name: str, sources: Sources, failures: dict[str, Any]) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except BaseException as error:
        failure = described(error)
    # Once more with its definitions alone: what else it does at import is not under check.
    label, text = sources[name]
    module = types.ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    sys.modules[name] = module
    try:
        supplied.execute(module, label, definitions_only(text))
    except BaseException as error:
        failures[name] = described(error)
        return None
    if not gather([module]):
        failures[name] = failure
    return module


def definitions_only(text: str) -> str:
    """Keep imports, definitions and plain constants of a text, each on its own line.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        As many lines; what is left out is blank.
    """
    lines = text.splitlines()
    kept = [""] * len(lines)
    for node in ast.parse(text).body:
        if not is_definition(node):
            continue
        decorated = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorated)])
        kept[first - 1 : node.end_lineno] = lines[first - 1 : node.end_lineno]
    return "\n".join(kept) + "\n"


def is_definition(node: ast.stmt) -> bool:
    """Say whether a statement defines something and does nothing else.

    Parameters
    ----------
    node : ast.stmt

    Returns
    -------
    bool
    """
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        return True
    if isinstance(node, ast.Try):
        return all(is_definition(n) for n in node.body)
    if not isinstance(node, ast.Assign):
        return False
    if isinstance(node.value, ast.Lambda):
        return True
    return not any(isinstance(n, (ast.Call, ast.Subscript, ast.Await)) for n in ast.walk(node))


def put_right(
    modules: Iterable[types.ModuleType],
    names: dict[str, Any],
    helpers: Mapping[str, Callable[..., Any]],
    replaced: Iterable[str],
) -> Callable[[], None]:
    """Put right functions wherever a student's modules name the replaced ones.

    Parameters
    ----------
    modules : iterable of module
    names : dict of str to callable
    helpers : mapping of str to callable
    replaced : iterable of str

    Returns
    -------
    callable
        Undoes it.
    """
    stand_ins: dict[str, Any] = {}
    for name in replaced:
        if name.endswith("_backward"):
            continue
        backward = name.removesuffix("_forward") + "_backward"
        if backward in helpers and name.endswith("_forward"):
            pair = Pair(names.get(name), helpers[name], helpers[backward])
            stand_ins |= {name: pair.forward, backward: pair.backward}
        elif name in helpers:
            stand_ins[name] = helpers[name]
    undo: list[tuple[dict[str, Any], str, Any]] = []
    known = {id(m): m for m in modules}
    loaded = [m for n, m in list(sys.modules.items()) if n.startswith(f"{supplied.PACKAGE}.")]
    for module in {**known, **{id(m): m for m in loaded}}.values():
        for name, stand_in in stand_ins.items():
            if name in vars(module):
                undo.append((vars(module), name, vars(module)[name]))
                vars(module)[name] = stand_in
    names.update({n: s for n, s in stand_ins.items() if n in names})

    def back() -> None:
        for space, name, value in undo:
            space[name] = value

    return back


def copied(value: Any) -> Any:
    """Copy an array: what is called with it may change it in place."""
    return value.copy() if isinstance(value, np.ndarray) else value


class Pair:
    """A right forward and backward that hand on the student's own cache.

    What calls them may look into the cache for shapes, so it is the student's; the backward knows
    a cache by its identity and works from the arguments that made it.
    """

    def __init__(self, own: Callable[..., Any] | None, forward: Any, backward: Any) -> None:
        self._own = own
        self._forward = forward
        self._backward = backward
        self._caches: dict[int, tuple[Any, Any]] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Give the right outputs, with the student's cache where there is one."""
        *outs, right = self._forward(*args, **kwargs)
        cache = right
        with contextlib.suppress(Exception):
            came = self._own(*map(copied, args), **kwargs) if self._own else None
            if isinstance(came, (tuple, list)) and len(came) == len(outs) + 1:
                cache = came[-1] if came[-1] is not None else right
        self._caches[id(cache)] = (cache, right)
        return (*outs, cache)

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Give the right gradients for a cache of `forward`."""
        *upstream, cache = args if args else kwargs.values()
        known = self._caches.get(id(cache))
        if known is None:
            raise LookupError("a cache that the right forward did not make")
        return self._backward(*upstream, known[1])
