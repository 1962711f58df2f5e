"""Which kernels run: the best the CPU has, the one `UNROLLED_KERNELS` names, or NumPy's text.

The choice is made once, when the kernels are first asked for, and does not change after that.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any, NamedTuple

from unrolled.cpus import available_cpus
from unrolled.errors import InputError

PATHS = ("numpy", "portable", "avx2", "avx512", "amx")


class Status(NamedTuple):
    """Which kernels run, and why.

    Attributes
    ----------
    path : str
        One of `PATHS`.
    why : str
        One sentence for people.
    threads : int
        Threads that the compiled kernels use; 1 for NumPy's text, which leaves it to its BLAS.
    bfloat16 : str
        How products in bfloat16 are made on this path.
    """

    path: str
    why: str
    threads: int
    bfloat16: str


class _Choice(NamedTuple):
    path: str
    why: str
    compiled: Any  # the extension's Path, or None
    extension: Any  # the extension itself, or None


def status() -> Status:
    """Say which kernels run, and why.

    Returns
    -------
    Status

    Raises
    ------
    InputError
        If `UNROLLED_KERNELS` or `UNROLLED_THREADS` asks for what cannot be.
    """
    path, why, compiled, extension = _choose()
    if compiled is None:
        return Status(path, why, 1, "not at all")
    how = {
        "amx": "by AMX tiles",
        "avx512_bf16": "by AVX-512's dot product",
    }.get(compiled.name, "from rounded operands in float32")
    return Status(path, why, extension.threads(), how)


def compiled() -> Any:
    """Give the compiled path that runs, or None where NumPy's text does.

    Returns
    -------
    the extension's Path, or None

    Raises
    ------
    InputError
        If `UNROLLED_KERNELS` or `UNROLLED_THREADS` asks for what cannot be.
    """
    return _choose().compiled


def extension() -> Any:
    """Give the extension whose path runs, or None where NumPy's text does.

    Returns
    -------
    module, or None

    Raises
    ------
    InputError
        If `UNROLLED_KERNELS` or `UNROLLED_THREADS` asks for what cannot be.
    """
    return _choose().extension


@functools.cache
def _choose() -> _Choice:
    wanted = os.environ.get("UNROLLED_KERNELS", "").strip().lower()
    if wanted and wanted not in PATHS:
        raise InputError(f"UNROLLED_KERNELS must be one of {', '.join(PATHS)}, got {wanted!r}")
    if wanted == "numpy":
        return _Choice("numpy", "UNROLLED_KERNELS asks for it", None, None)
    try:
        extension: Any = importlib.import_module("unrolled.kernels._compiled")
    except ImportError as error:
        why = f"the package was built without compiled kernels ({error})"
        if wanted:
            raise InputError(
                f"UNROLLED_KERNELS asks for {wanted}, but {why}; reinstall where there is a C++ "
                "compiler, or unset it"
            ) from None
        return _Choice("numpy", why, None, None)
    extension.set_threads(_thread_count())
    if wanted:
        path, reason = _find(extension, wanted)
        if path is None:
            raise InputError(
                f"UNROLLED_KERNELS asks for {wanted}, which cannot run here: {reason}; unset it to "
                "take the best there is"
            )
        return _Choice(wanted, "UNROLLED_KERNELS asks for it", path, extension)
    reasons: list[str] = []
    for name in reversed(PATHS[1:]):
        path, reason = _find(extension, name)
        if path is not None:
            why = "the best this CPU has" + "".join(f"; not {r}" for r in reasons)
            return _Choice(name, why, path, extension)
        reasons.append(f"{name}, as {reason}")
    return _Choice("numpy", "no compiled path can run here", None, None)


def _find(extension: Any, name: str) -> tuple[Any, str]:
    """Find a path; avx512 takes the bfloat16 dot product along where the CPU has it."""
    if name == "avx512":
        path, _ = extension.find("avx512_bf16")
        if path is not None:
            return path, ""
    path, reason = extension.find(name)
    return path, reason


def _thread_count() -> int:
    """Read UNROLLED_THREADS, else take the CPUs there are for us, or OMP_NUM_THREADS if fewer."""
    own = os.environ.get("UNROLLED_THREADS", "").strip()
    if own:
        if not own.isdecimal() or int(own) < 1:
            raise InputError(f"UNROLLED_THREADS must be a whole number above 0, got {own!r}")
        return int(own)
    cpus = available_cpus()
    shared = os.environ.get("OMP_NUM_THREADS", "").strip()
    return min(cpus, int(shared)) if shared.isdecimal() and int(shared) else cpus
