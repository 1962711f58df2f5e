"""Hold docstrings to their functions, the Chinese README to the English one, and links to files."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from numpydoc.validate import validate

import unrolled

ROOT = Path(__file__).parents[1]
# A public docstring exists, starts with one line, and names the very parameters there are.
CODES = {"GL08", "SS01", "SS03", "PR01", "PR02", "PR03", "PR04"}


def public_names() -> Iterator[str]:
    """Name every function and method that a room shows to the others; ruff sees to the rest."""
    for room in pkgutil.iter_modules(unrolled.__path__):
        if room.name == "cli":  # its docstrings are its help
            continue
        module = importlib.import_module(f"unrolled.{room.name}")
        for name, thing in vars(module).items():
            if name.startswith("_") or not is_of(thing, module.__name__):
                continue
            if inspect.isfunction(thing):
                yield f"{module.__name__}.{name}"
            elif inspect.isclass(thing):
                for member, value in vars(thing).items():
                    inherited = any(hasattr(base, member) for base in thing.__mro__[1:])
                    if inspect.isfunction(value) and not member.startswith("_") and not inherited:
                        yield f"{module.__name__}.{name}.{member}"


def is_of(thing: object, room: str) -> bool:
    home = str(getattr(thing, "__module__", None))
    return home == room or home.startswith(f"{room}.")


def docstring_faults() -> Iterator[str]:
    for name in public_names():
        for code, message in validate(name)["errors"]:
            if code in CODES:
                yield f"{name}: {code} {message}"


def readme_faults() -> Iterator[str]:
    """The two READMEs have the same headings, code, pictures and numbers."""
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")
    )
    for what, pattern in {
        "headings": r"^(#+) ",
        "code blocks": r"^```[a-z]*\n.*?^```",
        "pictures": r"!\[[^\]]*\]\(([^)]+)\)",
        "table numbers": r"^\|.*?(?<![\w.])(\d+(?:\.\d+)?)(?![\w.])",
    }.items():
        ours, theirs = (
            re.findall(pattern, text, re.MULTILINE | re.DOTALL if what == "code blocks" else re.M)
            for text in (english, chinese)
        )
        if ours != theirs:
            yield f"README.zh-CN.md: its {what} differ from README.md's"


def link_faults() -> Iterator[str]:
    """Links to files of the repository lead somewhere."""
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]:
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)}: a link to {target}, which is not there"


def main() -> int:
    faults = [*docstring_faults(), *readme_faults(), *link_faults()]
    print(*faults, sep="\n")
    print(f"docs: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
