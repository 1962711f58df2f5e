"""What this machine runs Unrolled with, and why: kernels, CPU, libraries, folders."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

import unrolled
from unrolled import kernels
from unrolled.cpus import available_cpus
from unrolled.vision.cache import default_folder

# In the order of what they add to a kernel; as Linux spells them, on x86-64 and on aarch64.
FLAGS = (
    *("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16"),
    *("asimd", "sve", "bf16"),
)
ENVIRONMENT = ("UNROLLED_KERNELS", "UNROLLED_THREADS", "OMP_NUM_THREADS")
LIBRARIES = ("numpy", "onnxruntime")


def describe_system() -> dict[str, dict[str, Any]]:
    """Say which kernels run here and why, on what CPU, beside which libraries.

    Returns
    -------
    dict of str to dict
        For people and for JSON: kernels, environment, cpu, versions, folders.

    Raises
    ------
    InputError
        If `UNROLLED_KERNELS` or `UNROLLED_THREADS` asks for what cannot be.
    """
    return {
        "kernels": kernels.status()._asdict(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "cpu": describe_cpu(),
        "versions": versions(LIBRARIES),
        "folders": {"package": str(Path(unrolled.__file__).parent), "cache": str(default_folder())},
    }


def describe_cpu() -> dict[str, Any]:
    """Say which CPU this is, and which of its instructions matter to us.

    Returns
    -------
    dict
        name; cores, those that this process may use; architecture; instructions.
    """
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        told = ""
    name = re.search(r"^model name\s*:\s*(.+)$", told, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", told, re.M)
    has = set(flags[1].split()) if flags else set()
    return {
        "name": name[1].strip() if name else platform.processor() or "unknown",
        "architecture": platform.machine(),
        "cores": available_cpus(),
        "instructions": [flag for flag in FLAGS if flag in has],
    }


def versions(libraries: tuple[str, ...]) -> dict[str, str]:
    """Say the versions of Unrolled, Python, NumPy's BLAS and of libraries.

    Parameters
    ----------
    libraries : tuple of str
        Their names as packages; one that is not installed is left out.

    Returns
    -------
    dict of str to str
    """
    found = {
        "unrolled": unrolled.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    for name in libraries:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"numpy's BLAS": _blas()}


def _blas() -> str:
    built: Any = np.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
