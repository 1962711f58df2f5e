"""How the book is built; `scripts/build_docs` builds it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import unrolled

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Unrolled"
author = "the Unrolled contributors"
release = version = unrolled.__version__
copyright = "Apache-2.0"  # noqa: A001 - Sphinx's name
html_show_copyright = False

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "numpydoc",
    "mathml",
    "rooms",
]
exclude_patterns = ["_ext"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# A docstring's `name` links where there is such a thing, and is italic where there is none: those
# of NumPy are on no page of ours. Roles in pages say what they mean, and must find it.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", ".*")]
autodoc_typehints = "none"  # shapes stand in the docstring; the types of arrays say little
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# What is checked is what the pages show; docstrings' examples belong to the tests.
doctest_test_doctest_blocks = ""

highlight_language = "text"
html_math_renderer = "mathml"
html_theme = "furo"
html_title = "Unrolled"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sphinx = False

_CJK = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")


def join_chinese_lines(app: Sphinx, document: nodes.document) -> None:  # noqa: ARG001
    """Drop line breaks between Chinese characters, which a browser would show as blanks."""
    for parent in document.findall(nodes.TextElement):
        for place in reversed(range(1, len(parent) - 1)):
            if parent[place] == "\n":
                before, after = (parent[place + step].astext() for step in (-1, 1))
                if _CJK.match(before[-1:]) and _CJK.match(after[:1]):
                    del parent[place]


def set_page(
    app: Sphinx,
    pagename: str,
    templatename: str,  # noqa: ARG001
    context: dict[str, Any],
    doctree: nodes.document | None,  # noqa: ARG001
) -> None:
    """Say which pages are Chinese, and give derivations the place of their table of contents."""
    if pagename.startswith("zh/"):
        context["language"] = "zh-CN"
    if "derivations/" in pagename:
        context["furo_hide_toc"] = True
    twin = _twin(pagename)
    if pagename.removeprefix("zh/") != "index" and twin in app.env.found_docs:
        context["body"] = _other_language(twin, context["pathto"]) + context["body"]


def _twin(pagename: str) -> str:
    """Name the page that says the same in the other language, should there be one."""
    return pagename.removeprefix("zh/") if pagename.startswith("zh/") else f"zh/{pagename}"


def _other_language(twin: str, pathto: Callable[[str], str]) -> str:
    """Link a page to its twin."""
    code, name = ("zh-CN", "中文") if twin.startswith("zh/") else ("en", "English")
    return f'<p class="twin"><a href="{pathto(twin)}" lang="{code}">{name}</a></p>\n'


def setup(app: Sphinx) -> None:
    """Register what is not an extension of its own."""
    app.connect("doctree-read", join_chinese_lines)
    app.connect("html-page-context", set_page, priority=900)  # after the theme
