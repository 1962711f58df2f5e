"""Find what is to be checked: a file, a folder in any of the assignment's layouts, a notebook."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from unrolled.check.diagnoses import Words
from unrolled.check.reading import MOST_BYTES, Source, UnreadableError, read_sources
from unrolled.check.spec import KNOWN, MODEL
from unrolled.check.supplied import GONE
from unrolled.errors import DataError, InputError

MOST_FILES = 2000
SKIPPED = {"__pycache__", "site-packages", "node_modules", "datasets", "build"}
PACKAGE = "cs231n"


class Submission(NamedTuple):
    """What is to be checked: modules by name, and the function each is checked for."""

    profile: str
    modules: dict[str, tuple[str, str]]
    defined: frozenset[str]
    stubs: frozenset[str]
    broken: tuple[Source, ...]
    roots: tuple[str, ...]
    remarks: tuple[Words, ...]


def read_submission(path: Path, profile: str | None = None) -> Submission:
    """Read a file, folder or notebook.

    Parameters
    ----------
    path : Path
    profile : "numpy", "torch" or None
        None recognises it.

    Returns
    -------
    Submission

    Raises
    ------
    DataError
        If there is nothing in it that can be checked.
    InputError
        If there is no such path.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    sources, unread = _read_all(path)
    found = [s for s in sources if s.defined]
    if not found:
        raise DataError(_nothing(path, sources, unread))
    profile = profile or _profile(found)
    chosen, ignored = _chosen(found, profile)
    whole = [s for s in chosen if s.fault is None]
    if not whole:
        raise DataError(_fault(chosen[0].label, chosen[0]))
    modules = {_module(s, profile): (s.label, s.text) for s in whole}
    modules |= _beside(sources, whole, modules, path)
    return Submission(
        profile=profile,
        modules=modules,
        defined=frozenset().union(*(s.defined for s in chosen)),
        stubs=frozenset().union(*(s.stubs for s in whole)) - _written(whole),
        broken=tuple(s for s in chosen if s.fault is not None),
        roots=tuple({s.path.parent.name for s in whole if s.path.parent.name.isidentifier()}),
        remarks=(*unread, *_remarks(ignored, found)),
    )


def _read_all(path: Path) -> tuple[list[Source], list[Words]]:
    """Read a file; or all of a folder, and say of those that cannot be read why."""
    if path.is_file():
        return [source for file in _files(path) for source in read_sources(file)], []
    sources: list[Source] = []
    unread: list[Words] = []
    for file in _files(path):
        try:
            sources += read_sources(file)
        except UnreadableError as error:
            name, why = file.relative_to(path), error.why
            unread.append(Words(f"{name}: left aside: {why.en}", f"未检查 {name}：{why.zh}"))
    return sources, unread


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        if path.suffix not in MOST_BYTES:
            raise DataError(f"{path}: expected a .py file, a notebook (.ipynb) or a folder")
        yield path
        return
    count = 0
    for file in sorted(path.rglob("*"), key=lambda p: (len(p.parts), str(p))):
        inner = file.relative_to(path).parts
        hidden = any(part.startswith(".") or part in SKIPPED for part in inner)
        if file.suffix not in MOST_BYTES or hidden or not file.is_file():
            continue
        count += 1
        if count > MOST_FILES:
            return
        yield file


def _nothing(path: Path, sources: list[Source], unread: list[Words]) -> str:
    """Say what was looked for, and what stood in the way."""
    broken = next((s for s in sources if s.fault is not None), None)
    if path.is_file() and broken:
        return _fault(str(path), broken)
    aside = "".join(f"\n       {words.en}" for words in unread[:5])
    return (
        f"{path}: none of the assignment's functions is defined here; expected some of "
        f"rnn_step_forward ... lstm_backward, word_embedding_*, temporal_*, or the class {MODEL}"
        f"{aside}"
    )


def _fault(name: str, source: Source) -> str:
    return f"{name}, line {source.line}: {source.fault.en if source.fault else ''}"


def _written(whole: list[Source]) -> frozenset[str]:
    """Functions that some file does define in earnest."""
    return frozenset().union(*(s.defined - s.stubs for s in whole))


def _profile(found: list[Source]) -> str:
    backward = any(n.endswith("_backward") for s in found for n in s.defined)
    if backward and not all(s.torch for s in found):
        return "numpy"
    layers = [s for s in found if any("." not in n for n in s.defined)] or found
    return "torch" if any(s.torch for s in layers) and not backward else "numpy"


def _chosen(found: list[Source], profile: str) -> tuple[list[Source], list[Source]]:
    """For each function one file: a module before a notebook, the shallowest first."""

    def rank(source: Source) -> tuple[bool, bool, int]:
        name = source.path.stem
        expected = name.removesuffix("_pytorch") in ("rnn_layers", "rnn")
        fits = source.torch == (profile == "torch")
        return not fits, source.path.suffix == ".ipynb", -expected

    taken: set[str] = set()
    chosen, ignored = [], []
    for source in sorted(found, key=rank):
        if source.torch != (profile == "torch") and len(found) > 1 and taken:
            ignored.append(source)
        elif source.defined - taken:
            chosen.append(source._replace(defined=source.defined - taken))
            taken |= source.defined
        else:
            ignored.append(source)
    return chosen, ignored


def _module(source: Source, profile: str) -> str:
    suffix = "_pytorch" if profile == "torch" else ""
    if any("." in name for name in source.defined):
        return f"{PACKAGE}.classifiers.rnn{suffix}"
    if source.defined & {n for n in KNOWN if n.startswith(("rnn", "lstm"))}:
        return f"{PACKAGE}.rnn_layers{suffix}"
    stem = source.path.stem
    return f"{PACKAGE}.{stem if stem.isidentifier() else 'layers_more'}"


def _beside(
    sources: list[Source], whole: list[Source], modules: dict[str, tuple[str, str]], path: Path
) -> dict[str, tuple[str, str]]:
    """Give the modules that lie beside those under check, for them to import."""
    homes = {
        s.path.parent.parent if s.path.parent.name == "classifiers" else s.path.parent
        for s in whole
    }
    labels = {label for label, _ in modules.values()}
    pool = list(sources)
    if path.is_file():
        text = whole[0].text
        near = sorted(path.parent.glob("*.py"))
        siblings = (p for p in near if p != path and re.search(rf"\b{re.escape(p.stem)}\b", text))
        for sibling in siblings:
            with contextlib.suppress(UnreadableError):
                pool += [s for s in read_sources(sibling) if not s.defined]
    more: dict[str, tuple[str, str]] = {}
    for source in pool:
        for home in homes:
            if (
                source.label in labels
                or source.fault is not None
                or not source.path.is_relative_to(home)
            ):
                continue
            inner = source.path.relative_to(home).with_suffix("").parts
            if (
                source.path.suffix == ".py"
                and len(inner) <= 2
                and all(p.isidentifier() for p in inner)
            ):
                more.setdefault(".".join((PACKAGE, *inner)), (source.label, source.text))
    return {k: v for k, v in more.items() if k not in modules and not k.endswith("__init__")}


def _remarks(ignored: list[Source], found: list[Source]) -> Iterator[Words]:
    for source in ignored[:5]:
        yield Words(
            f"{source.label}: left aside, as other files define the same or belong to the profile",
            f"未检查 {source.label}：其他文件已有同样的函数，或它属于另一个 profile",
        )
    for source in found:
        if re.search(r"^\s*(import|from)\s+unrolled\b", source.text, re.MULTILINE):
            yield Words(
                f"{source.label} imports unrolled: what it takes from there is ours",
                f"{source.label} 导入了 unrolled：从中取得的是我们的代码",
            )
        names = set(re.findall(r"\b(?:np|numpy)\.(\w+)", source.text)) & GONE.keys()
        if gone := ", ".join(f"np.{name}" for name in sorted(names)):
            yield Words(
                f"{source.label}: NumPy no longer has {gone}; put back for the check",
                f"{source.label}：NumPy 已删除 {gone}；检查时补上",
            )
