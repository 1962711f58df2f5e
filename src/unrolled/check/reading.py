"""Read one file: its text, which of the assignment's functions it defines, and which in earnest."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import NamedTuple

from unrolled.check.diagnoses import Words, in_language
from unrolled.check.namespace import is_definition
from unrolled.check.spec import KNOWN, MODEL
from unrolled.errors import DataError

MOST_BYTES = {".py": 2 << 20, ".ipynb": 64 << 20}
_MAGIC = re.compile(r"^(?P<indent>[ \t]*)([%!?].*|[\w, ]+ = *[%!].*|[\w.]+\?{1,2}\s*)$")
"""Lines that are IPython's, not Python's; some of them are Python's where they go on with one."""
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
    fault: Words | None = None
    """Why it is no Python, if it is none."""
    line: int = 0


class UnreadableError(DataError):
    """A file that cannot be read, and why in both languages."""

    def __init__(self, path: Path, why: Words) -> None:
        super().__init__(f"{path}: {why.en}")
        self.why = why


def read_sources(path: Path) -> list[Source]:
    """Read a Python file or a notebook.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Source
        One; of a notebook also each cell that is no Python and should have defined something.

    Raises
    ------
    UnreadableError
        If it is too large, no notebook, or the system does not let it be read.
    """
    try:
        size, most = path.stat().st_size, MOST_BYTES[path.suffix]
        if size > most:
            words = f"{size >> 20} MB, where at most {most >> 20} are looked through"
            raise UnreadableError(
                path, Words(words, f"有 {size >> 20} MB，最多只读 {most >> 20} MB")
            )
        raw = path.read_bytes()
    except OSError as error:
        why = Words(f"cannot be read ({error.strerror})", f"无法读取（{error.strerror}）")
        raise UnreadableError(path, why) from error
    label = path.name if path.parent.name in ("", ".") else f"{path.parent.name}/{path.name}"
    if path.suffix == ".py":
        return [_looked_through(path, label, _decoded(raw))]
    whole, bad = _notebook_texts(path, raw)
    return [
        _looked_through(path, label, whole),
        *(_looked_through(path, f"{label} [{number}]", text) for number, text in bad),
    ]


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
    return _without_magics("\n".join(lines))


def _without_magics(text: str) -> str:
    """Let IPython's own lines do nothing, unless they are Python: ``% (a, b))`` may be."""
    text = re.sub(r"^([ \t]*)get_ipython\(.*$", r"\1pass", text, flags=re.MULTILINE)
    lines = text.split("\n")
    for _ in lines:
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            found = _MAGIC.match(lines[at]) if 0 <= at < len(lines) else None
            if found is None:
                break
            lines[at] = f"{found['indent']}pass"
        except (ValueError, RecursionError, MemoryError):
            break
        else:
            break
    return "\n".join(lines)


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _notebook_texts(path: Path, raw: bytes) -> tuple[str, list[tuple[int, str]]]:
    """Put a notebook's code cells together, definitions alone: it is not run from top to bottom.

    Cells that are no Python and define something stand apart, so that the others are read.
    """
    try:
        book = json.loads(raw.decode("utf-8-sig"))
        sheets = book.get("worksheets") or [book]
        cells = [c for sheet in sheets for c in sheet["cells"] if c.get("cell_type") == "code"]
        texts = ["".join(c.get("source", c.get("input", ""))) for c in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = Words(f"a notebook that cannot be read ({error})", f"无法读取的 notebook（{error}）")
        raise UnreadableError(path, why) from error
    kept, bad = [], []
    for number, text in enumerate(map(_cell_text, texts), 1):
        tree = _parsed(text)
        if tree is not None:
            parts = (
                ast.get_source_segment(text, node, padded=True)
                for node in tree.body
                if is_definition(node)
            )
            kept += [part for part in parts if part]
        elif re.search(_DEFINES, text, re.MULTILINE):
            bad.append((number, text))
    return "\n\n".join(kept), bad


def _cell_text(text: str) -> str:
    first = text.lstrip().split("\n", 1)[0].strip()
    if first.startswith("%%"):
        if not first.startswith(("%%time", "%%capture")):
            return ""
        text = text.lstrip().partition("\n")[2]
    return _without_magics(text)


_DEFINES = rf"^\s*(?:def ({'|'.join(sorted(KNOWN))})\s*\(|class ({MODEL})\b)"


def _looked_through(path: Path, label: str, text: str) -> Source:
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


def _methods(found: set[str]) -> frozenset[str]:
    model = {f"{MODEL}.loss", f"{MODEL}.sample"} if MODEL in found else set()
    return frozenset((found - {MODEL}) | model)


def _syntax_fault(text: str, line: int, error: Exception) -> Words:
    lines = text.split("\n")
    for number in (line, line - 1):
        if 0 < number <= len(lines):
            for pattern, what in PYTHON2:
                if re.search(pattern, lines[number - 1]):
                    said = lines[number - 1].strip()
                    return Words(
                        f"{said}: {what} is Python 2; write it for Python 3",
                        f"{said}：{in_language('zh', what)} 是 Python 2 的写法，请改成 Python 3",
                    )
    quoted = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    reason = str(getattr(error, "msg", error))
    return Words(
        f"{quoted}: not Python that can be read ({reason})".lstrip(": "),
        f"{quoted}：不是可以读取的 Python（{reason}）".lstrip("："),
    )


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
