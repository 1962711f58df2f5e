"""The book has a page for every backward pass, in both languages, and one for every room.

What the pages' code does is proved where it runs: by `scripts/build_docs`.
"""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

import unrolled
from unrolled import layers

DOCS = Path(__file__).parents[1] / "docs"
ENGLISH = sorted((DOCS / "derivations").glob("*.md"))
BACKWARDS = sorted(n for n in layers.__all__ if n.endswith(("_backward", "_loss")))
CODE = re.compile(r"^```\{testcode\}\n(.*?)^```$", re.M | re.S)
EQUATION = re.compile(r"^\$\$\n(.*?)^\$\$$", re.M | re.S)
DERIVED = re.compile(r"\{func\}`unrolled\.layers\.(\w+)`")


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def chinese(page: Path) -> Path:
    return DOCS / "zh" / "derivations" / page.name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_backward_is_named_on_a_page_whose_code_runs_it(language: str) -> None:
    pages = ENGLISH if language == "en" else [chinese(page) for page in ENGLISH]
    derived = {
        name
        for page in pages
        for name in DERIVED.findall(read(page))
        if f"layers.{name}" in "".join(CODE.findall(read(page)))
    }
    assert set(BACKWARDS) <= derived


def test_the_two_languages_have_the_same_pages() -> None:
    assert {p.name for p in ENGLISH} == {p.name for p in (DOCS / "zh" / "derivations").glob("*.md")}


@pytest.mark.parametrize("page", ENGLISH, ids=lambda p: p.stem)
def test_the_two_languages_have_the_same_code_and_equations(page: Path) -> None:
    ours, theirs = read(page), read(chinese(page))
    assert CODE.findall(ours) == CODE.findall(theirs)
    assert EQUATION.findall(ours) == EQUATION.findall(theirs)
    assert DERIVED.findall(ours) == DERIVED.findall(theirs)


@pytest.mark.parametrize(
    "page", sorted((DOCS / "zh" / "howto").glob("*.md")), ids=lambda page: page.stem
)
def test_a_how_to_page_in_chinese_has_the_commands_of_its_twin(page: Path) -> None:
    commands = [
        re.findall(r"^```\n(.*?)^```$", read(each), re.M | re.S)
        for each in (page, DOCS / "howto" / page.name)
    ]
    assert commands[0] == commands[1] != []


@pytest.mark.parametrize("page", [p for p in ENGLISH if p.stem != "index"], ids=lambda p: p.stem)
def test_a_page_holds_what_it_derives_against_numeric_gradients(page: Path) -> None:
    code = "".join(CODE.findall(read(page)))
    checks = re.findall(r"^ *assert .*(?:gradcheck|max_error|relative_error)", code, re.M)
    assert checks, "nothing on this page can fail"


def test_every_room_has_a_page() -> None:
    rooms = {room.name for room in pkgutil.iter_modules(unrolled.__path__)} - {"cli", "__main__"}
    pages = DOCS.glob("reference/*.md")
    shown = {m for p in pages for m in re.findall(r"^```\{room\} unrolled\.(\w+)$", read(p), re.M)}
    assert shown == rooms


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = {
        (page.parent / re.sub(r".*<(.*)>", r"\1", entry)).resolve()
        for page in DOCS.rglob("*.md")
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", read(page), re.M | re.S)
        for entry in tree.split("\n")
        if entry and not entry.startswith(":")
    }
    pages = {page.with_suffix("").resolve() for page in DOCS.rglob("*.md")}
    assert pages - listed == {(DOCS / "index").resolve()}
