"""Find what is to be checked: a file, a folder in any of the assignment's layouts, a notebook."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from unrolled.check.namespace import is_definition
from unrolled.check.spec import KNOWN, MODEL
from unrolled.errors import DataError, InputError

MOST_BYTES = {".py": 2 << 20, ".ipynb": 64 << 20}
MOST_FILES = 2000
SKIPPED = {"__pycache__", "site-packages", "node_modules", "datasets", "build"}
PACKAGE = "cs231n"
STARTS = ("%", "!", "?")
PYTHON2 = (
    (r"^\s*print\s+[^(=]", "print without parentheses"),
    (r"^\s*print\s*$", "print without parentheses"),
    (r"except\s+[\w.]+\s*,\s*\w+\s*:", "except X, e"),
    (r"^\s*raise\s+\w+\s*,", "raise X, message"),
    (r"^\s*exec\s+[^(]", "exec without parentheses"),
    (r"<>", "<>"),
    (r"`[^`]+`", "`x`"),
    (r"\b0\d+\b", "0777"),
    (r"\b\d+[lL]\b", "10L"),
    (r"\bur['\"]", "ur''"),
)


class Source(NamedTuple):
    """One file's text, and what is in it."""

    path: Path
    label: str
    text: str
    defined: frozenset[str]
    stubs: frozenset[str]
    torch: bool
    fault: str = ""
    line: int = 0


class Submission(NamedTuple):
    """What is to be checked: modules by name, and the function each is checked for."""

    profile: str
    modules: dict[str, tuple[str, str]]
    defined: frozenset[str]
    stubs: frozenset[str]
    broken: tuple[Source, ...]
    roots: tuple[str, ...]
    remarks: tuple[tuple[str, str], ...]


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
    sources = [s for s in map(_read, _files(path)) if s is not None]
    found = [s for s in sources if s.defined]
    if not found:
        raise DataError(_nothing(path, sources))
    profile = profile or _profile(found)
    chosen, ignored = _chosen(found, profile)
    whole = [s for s in chosen if not s.fault]
    if not whole:
        worst = chosen[0]
        raise DataError(f"{worst.label}, line {worst.line}: {worst.fault}")
    modules = {_module(s, profile): (s.label, s.text) for s in whole}
    modules |= _beside(sources, whole, modules, path)
    return Submission(
        profile=profile,
        modules=modules,
        defined=frozenset().union(*(s.defined for s in chosen)),
        stubs=frozenset().union(*(s.stubs for s in whole)) - _written(whole),
        broken=tuple(s for s in chosen if s.fault),
        roots=tuple({s.path.parent.name for s in whole if s.path.parent.name.isidentifier()}),
        remarks=tuple(_remarks(ignored, found)),
    )


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


def _read(path: Path) -> Source | None:
    try:
        if path.stat().st_size > MOST_BYTES[path.suffix]:
            return None
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    text = _notebook_text(path, raw) if path.suffix == ".ipynb" else _decoded(raw)
    return _looked_through(path, text)


def _decoded(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030", "latin-1"):
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # A declared encoding no longer holds: the text is decoded. Exported notebooks bring magics.
    lines[:2] = [re.sub(r"^(#.*?)coding[:=]", r"\1", line) for line in lines[:2]]
    return "\n".join("" if re.match(r"^\s*(get_ipython\(|%|!)", line) else line for line in lines)


def _notebook_text(path: Path, raw: bytes) -> str:
    """Put a notebook's code cells together, definitions alone: it is not run from top to bottom."""
    try:
        book = json.loads(raw.decode("utf-8-sig"))
        sheets = book.get("worksheets") or [book]
        cells = [c for sheet in sheets for c in sheet["cells"] if c.get("cell_type") == "code"]
        texts = ["".join(c.get("source", c.get("input", ""))) for c in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: a notebook that cannot be read ({error})") from error
    return "\n\n".join(kept for kept in map(_cell_text, texts) if kept)


def _cell_text(text: str) -> str:
    first = text.lstrip().split("\n", 1)[0].strip()
    if first.startswith("%%"):
        if not first.startswith(("%%time", "%%capture")):
            return ""
        text = text.lstrip().partition("\n")[2]
    lines = text.split("\n")
    text = "\n".join("" if line.lstrip().startswith(STARTS) else line for line in lines)
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return text if re.search(_DEFINES, text, re.MULTILINE) else ""
    kept = [ast.get_source_segment(text, n, padded=True) for n in body if is_definition(n)]
    return "\n\n".join(k for k in kept if k)


_DEFINES = rf"^\s*(?:def ({'|'.join(sorted(KNOWN))})\s*\(|class ({MODEL})\b)"


def _looked_through(path: Path, text: str) -> Source:
    label = path.name if path.parent.name in ("", ".") else f"{path.parent.name}/{path.name}"
    torch = bool(re.search(r"^\s*(import|from)\s+torch\b", text, re.MULTILINE))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        found = {a or b for a, b in re.findall(_DEFINES, text, re.MULTILINE)}
        line = getattr(error, "lineno", None) or 0
        fault = _syntax_fault(text, line, error)
        return Source(path, label, text, _methods(found), frozenset(), torch, fault, line)
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in KNOWN]
    models = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == MODEL]
    named = {f.name: f for f in functions}
    for model in models:
        named |= {f"{MODEL}.{m.name}": m for m in model.body if isinstance(m, ast.FunctionDef)}
    wanted = {n: f for n, f in named.items() if n in KNOWN or n in _methods({MODEL})}
    stubs = frozenset(n for n, f in wanted.items() if is_stub(f))
    return Source(path, label, text, frozenset(wanted), stubs, torch)


def _nothing(path: Path, sources: list[Source]) -> str:
    """Say what was looked for, and what stood in the way."""
    broken = next((s for s in sources if s.fault), None)
    if path.is_file() and broken:
        return f"{path}, line {broken.line}: {broken.fault}"
    return (
        f"{path}: none of the assignment's functions is defined here; expected some of "
        f"rnn_step_forward ... lstm_backward, word_embedding_*, temporal_*, or the class {MODEL}"
    )


def _methods(found: set[str]) -> frozenset[str]:
    model = {f"{MODEL}.loss", f"{MODEL}.sample"} if MODEL in found else set()
    return frozenset((found - {MODEL}) | model)


def _syntax_fault(text: str, line: int, error: Exception) -> str:
    lines = text.split("\n")
    for number in (line, line - 1):
        if 0 < number <= len(lines):
            for pattern, what in PYTHON2:
                if re.search(pattern, lines[number - 1]):
                    return f"{lines[number - 1].strip()}: {what} is Python 2; write it for Python 3"
    quoted = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    return f"{quoted}: not Python that can be read ({getattr(error, 'msg', error)})".lstrip(": ")


def is_stub(function: ast.FunctionDef) -> bool:
    """Say whether a function is as it was handed out: it fetches its arguments and returns None.

    A stub only takes apart what it was given (names, attributes, indices, literals) and nothing it
    returns comes from a call or a calculation.

    Parameters
    ----------
    function : ast.FunctionDef

    Returns
    -------
    bool
    """
    body = [n for n in function.body if not _is_idle(n)]
    if not body:
        return True
    nothing = {"captions"}  # what sample starts from
    for node in body:
        if isinstance(node, ast.Return):
            return _is_nothing(node.value, nothing)
        if isinstance(node, ast.Raise):
            return "NotImplemented" in ast.dump(node)
        if not isinstance(node, ast.Assign):
            return False
        if not _is_handed_out(node):
            return False
        if _is_nothing(node.value, set()):
            nothing |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return True


def _is_idle(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant or isinstance(node, ast.Pass)


def _is_nothing(value: ast.expr | None, nothing: set[str]) -> bool:
    """Say whether it is None, an empty or zero start value, or a name of one."""
    if value is None:
        return True
    if isinstance(value, ast.Tuple):
        return all(_is_nothing(v, nothing) for v in value.elts)
    if isinstance(value, ast.Name):
        return value.id in nothing
    if isinstance(value, ast.Dict):
        return not value.keys
    return isinstance(value, ast.Constant) and value.value in (None, 0)


_HANDED_OUT = re.compile(
    r"captions = self\._null \* (np|torch)\.ones"
    r"|N = features\.shape\[0\]"
    r"|captions_(in|out) = captions\["
    r"|mask = captions_out != self\._null"
    r"|[\w, ()]+ = \(?(self\.params\['\w+'\](, )?)+\)?$"
)
"""Lines of the assignment's own starter text."""


def _is_handed_out(node: ast.Assign) -> bool:
    return _is_nothing(node.value, set()) or bool(_HANDED_OUT.match(ast.unparse(node)))


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
        pool += [s for s in map(_read, siblings) if s is not None and not s.defined]
    more: dict[str, tuple[str, str]] = {}
    for source in pool:
        for home in homes:
            if source.label in labels or source.fault or not source.path.is_relative_to(home):
                continue
            inner = source.path.relative_to(home).with_suffix("").parts
            if (
                source.path.suffix == ".py"
                and len(inner) <= 2
                and all(p.isidentifier() for p in inner)
            ):
                more.setdefault(".".join((PACKAGE, *inner)), (source.label, source.text))
    return {k: v for k, v in more.items() if k not in modules and not k.endswith("__init__")}


def _remarks(ignored: list[Source], found: list[Source]) -> Iterator[tuple[str, str]]:
    for source in ignored[:5]:
        yield (
            f"{source.label}: left aside, as other files define the same or belong to the profile",
            f"未检查 {source.label}：其他文件已有同样的函数，或它属于另一个 profile",
        )
    for source in found:
        if re.search(r"^\s*(import|from)\s+unrolled\b", source.text, re.MULTILINE):
            yield (
                f"{source.label} imports unrolled: what it takes from there is ours",
                f"{source.label} 导入了 unrolled：从中取得的是我们的代码",
            )
        if re.search(r"\bnp\.(float|int|object)\b", source.text):
            yield (
                (
                    f"{source.label}: NumPy has no np.float, np.int or np.object since 1.24; they"
                    " were put back for the check"
                ),
                f"{source.label}：np.float、np.int、np.object NumPy 1.24 起已删除；检查时补上",
            )
