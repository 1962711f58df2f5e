"""What a student's file imports and did not bring: the assignment's helpers, and empty stand-ins.

Everything here runs in the student's process.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import math
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PACKAGE = "cs231n"
HELPERS = ("layers", "rnn_layers", "layer_utils", "fast_layers", "rnn_layers_pytorch")
GONE: dict[str, Any] = {
    **{kind.__name__: kind for kind in (float, int, object, complex, str)},
    "Inf": math.inf,
    "infty": math.inf,
    "NaN": math.nan,
    "NAN": math.nan,
    "float_": "float64",
    "product": "prod",
    "cumproduct": "cumprod",
    "alltrue": "all",
    "sometrue": "any",
    "in1d": "isin",
}
"""What NumPy called by these names until 1.24 or 2.0, or its name now; it was right in its day."""


def numpy_helpers() -> dict[str, Any]:
    """Give the helpers of the numpy profile by name.

    Returns
    -------
    dict of str to callable
    """
    import numpy as np

    from unrolled.check import plain

    def relu_forward(x: Any) -> Any:
        return np.maximum(x, 0), x

    def relu_backward(dout: Any, cache: Any) -> Any:
        return dout * (cache > 0)

    def affine_relu_forward(x: Any, w: Any, b: Any) -> Any:
        a, fc_cache = plain.affine_forward(x, w, b)
        out, relu_cache = relu_forward(a)
        return out, (fc_cache, relu_cache)

    def affine_relu_backward(dout: Any, cache: Any) -> Any:
        fc_cache, relu_cache = cache
        return plain.affine_backward(relu_backward(dout, relu_cache), fc_cache)

    def softmax_loss(x: Any, y: Any) -> Any:
        loss, dx = plain.temporal_softmax_loss(x[:, None], y[:, None], np.ones((len(x), 1)))
        return loss, dx[:, 0]

    more = (relu_forward, relu_backward, affine_relu_forward, affine_relu_backward, softmax_loss)
    return plain.FUNCTIONS | {f.__name__: f for f in more}


class Absent(types.ModuleType):
    """Stands where a module is not installed; whatever is taken from it says so when used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__all__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Give something that fails only when it is used."""
        if name.startswith("__"):
            raise AttributeError(name)
        return AbsentName(f"{self.__name__}.{name}")


class AbsentName:
    """A name out of an absent module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Say that it is not there."""
        raise ImportError(f"{self._name} is not available while checking")

    def __getattr__(self, name: str) -> Any:
        """Go on to the next name."""
        if name.startswith("__"):
            raise AttributeError(name)
        return AbsentName(f"{self._name}.{name}")

    def __setitem__(self, _: Any, __: Any) -> None:
        """Take a setting, as ``plt.rcParams`` does."""

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[type, ...]:
        """Let a class be derived from it."""
        return (object,)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the student's own modules first, then the helpers, then stands in for what is absent.

    Parameters
    ----------
    sources : mapping of str to (label, text)
        The student's modules by full name, ``cs231n.rnn_layers``.
    helpers : mapping of str to callable
        The right helpers.
    roots : sequence of str
        Names by which the student's files call their package, beside ``cs231n``.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[str, str]],
        helpers: Mapping[str, Callable[..., Any]],
        roots: Sequence[str] = (),
    ) -> None:
        self._sources = sources
        self._helpers = helpers
        self._roots = {PACKAGE, *roots}

    def find_spec(
        self,
        fullname: str,
        path: Any = None,  # noqa: ARG002
        target: Any = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module of the student's package."""
        root, _, rest = fullname.partition(".")
        if root in UNNEEDED and _asked_by_student():
            return importlib.machinery.ModuleSpec(fullname, StandIn(), is_package=True)
        if root not in self._roots:
            return None
        full = f"{PACKAGE}.{rest}" if rest else PACKAGE
        leaf = full in self._sources or rest.rpartition(".")[2] in HELPERS
        inner = any(name.startswith(f"{full}.") for name in self._sources)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=inner or not leaf)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make it empty, or give the one that has another name already."""
        _, _, rest = spec.name.partition(".")
        canonical = f"{PACKAGE}.{rest}" if rest else PACKAGE
        if canonical != spec.name:
            return importlib.import_module(canonical)
        last = rest.rpartition(".")[2]
        known = canonical in self._sources or last in HELPERS or rest in ("", "classifiers")
        return types.ModuleType(canonical) if known else Absent(canonical)

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill it: the student's text, and the helpers under it or over it."""
        name = getattr(module, "__unrolled_filled__", None)
        if name:
            return
        vars(module)["__unrolled_filled__"] = True
        full = module.__name__
        last = full.rpartition(".")[2]
        if full in self._sources:
            label, text = self._sources[full]
            if last not in HELPERS or last.startswith("rnn_layers"):
                if re.search(rf"\bfrom\s+[\w.]*\b{last}\s+import\b", text):
                    # A file of another name, or a notebook, that takes the rest from the package's.
                    vars(module).update(self._helpers)
                execute(module, label, text)
                return
            with contextlib.suppress(Exception):  # not under check: it must not stand in the way
                execute(module, label, text)
        if last in HELPERS:
            vars(module)["__getattr__"] = Absent(full).__getattr__
            vars(module).update({} if last == "fast_layers" else self._helpers)


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last of all finders: whatever is not installed becomes an `Absent` module."""

    def find_spec(
        self,
        fullname: str,
        path: Any = None,  # noqa: ARG002
        target: Any = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        """Find anything, if it is the student's text that asks."""
        if fullname.split(".")[0] in NEVER or not _asked_by_student():
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make the stand-in, or a Python 2 shim."""
        last = spec.name.rpartition(".")[2]
        if last in HELPERS:  # the helpers under another package's name
            module = types.ModuleType(spec.name)
            vars(module).update(vars(importlib.import_module(f"{PACKAGE}.{last}")))
            return module
        return _shim(spec.name) or Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave it as it is."""


UNNEEDED = frozenset(
    {
        "matplotlib",
        "pylab",
        "seaborn",
        "IPython",
        "tensorflow",
        "keras",
        "pandas",
        "cv2",
        "PIL",
        "h5py",
    }
)
"""Slow to import, and no layer has any use for them: stood in for even where installed."""

NEVER = frozenset({"torch", "numpy", "unrolled"})


def _asked_by_student() -> bool:
    """Say whether the import stands in a student's text: libraries try what need not be there."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_filename.startswith("<frozen"):
        frame = frame.f_back
    return frame.f_code.co_filename.startswith("<")


SHIMS = frozenset(
    {"past", "past.builtins", "past.utils", "future", "future.builtins", "six.moves"}
    | {"numba", "scipy", "scipy.special"}
)


def _undecorated(*given: Any, **_: Any) -> Any:
    """Decorate with or without options, and leave the function as it is."""
    return given[0] if given and callable(given[0]) else lambda function: function


def _expit(x: Any) -> Any:
    from unrolled.check import plain

    return plain.sigmoid(x)


def _shim(name: str) -> types.ModuleType | None:
    """Give what small packages give that are not installed, as far as a layer may want it."""
    if name not in SHIMS:
        return None
    module = types.ModuleType(name)
    module.__path__ = []
    if name in ("past.builtins", "six.moves"):
        vars(module).update(xrange=range, range=range, raw_input=input, unicode=str, long=int)
    if name == "numba":
        vars(module).update(jit=_undecorated, njit=_undecorated, prange=range)
    if name == "scipy.special":
        vars(module).update(expit=_expit)
    if name == "past.utils":
        vars(module).update(old_div=lambda a, b: a // b if isinstance(a, int) else a / b)
    if name == "future.builtins":
        import builtins

        vars(module).update({k: v for k, v in vars(builtins).items() if not k.startswith("_")})
    return module


def execute(module: types.ModuleType, label: str, text: str) -> None:
    """Run a student's text as a module.

    Parameters
    ----------
    module : module
    label : str
        What error messages call the file.
    text : str
    """
    filename = f"<{label}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), vars(module))  # noqa: S102 - what a checker is for


def install(
    sources: Mapping[str, tuple[str, str]],
    helpers: Mapping[str, Callable[..., Any]],
    roots: Sequence[str] = (),
) -> None:
    """Put the finders in place, and back what NumPy has dropped.

    Parameters
    ----------
    sources, helpers, roots
        As in `Finder`.
    """
    import numpy as np

    sys.meta_path.insert(0, Finder(sources, helpers, roots))
    sys.meta_path.append(StandIn())
    for name, value in GONE.items():
        if name not in vars(np):
            setattr(np, name, getattr(np, value) if isinstance(value, str) else value)
