"""The compiled paths this machine can run, each in turn, behind the functions that layers call."""

from __future__ import annotations

import pytest
from compiled_paths import NAMES, find_path

from unrolled import kernels
from unrolled.kernels import choice, embedding, packed, products, recurrence, update, vocabulary


@pytest.fixture(params=NAMES, scope="module")
def path(request):
    """Let the kernels' functions run on this path, with two threads, for a module's tests."""
    extension, chosen = find_path(request.param)
    patch = pytest.MonkeyPatch()
    for module in (
        kernels,
        embedding,
        packed,
        products,
        recurrence,
        update,
        vocabulary,
        choice,
    ):
        patch.setattr(module, "compiled", lambda: chosen)
    extension.set_threads(2)
    yield chosen
    patch.undo()
    extension.set_threads(choice._thread_count())
