"""Equations as MathML, made while the book is built.

Browsers draw it themselves: no script, no font and no other host is asked for, so that the book
reads the same without a network, and screen readers read the equations aloud. What cannot be
converted is a warning, and so stops the build.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

_LOGGER = logging.getLogger(__name__)

# TeX sets a function apart from what stands beside it, unless that is a bracket; the converter not.
_FUNCTION = r"<mi>(?:tanh|log|exp)</mi>"
_BEFORE = re.compile(rf"(?<=</mi>|msub>)(?={_FUNCTION})")
_AFTER = re.compile(
    rf"((?<!<msup>){_FUNCTION}|<msup>{_FUNCTION}<mn>\d</mn></msup>)(?=<m(?!o|space))"
)
_THIN = '<mspace width="0.167em" />'
# A line over several letters: browsers do not draw the accent that wide.
_MEAN = re.compile(r'<mover>(<mrow>.*?</mrow>)<mo accent="true">&#x02015;</mo></mover>')


def to_mathml(latex: str, *, display: bool) -> str:
    r"""Convert an equation.

    Parameters
    ----------
    latex : str
    display : bool
        Whether it stands on a line of its own, or on several (``\\`` and ``&``).

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If something in it is not understood.
    """
    if r"\\" in latex and r"\begin{" not in latex:
        latex = rf"\begin{{split}}{latex}\end{{split}}"
    latex = re.sub(r"\\arg\b", r"\\operatorname{arg}\\,", latex)  # the converter knows no arg
    try:
        mathml: str = convert(latex.strip(), display="block" if display else "inline")
    except Exception as error:  # the converter has a dozen classes for one thing
        raise ValueError(f"{type(error).__name__}: {latex}") from error
    if unknown := re.search(r"\\[a-zA-Z]+", mathml):
        raise ValueError(f"{unknown[0]} is not known: {latex}")
    mathml = _MEAN.sub(
        r'<mrow style="border-top: 0.06em solid; padding-top: 0.12em">\1</mrow>', mathml
    )
    return _AFTER.sub(rf"\1{_THIN}", _BEFORE.sub(_THIN, mathml))


def _visit(translator: HTML5Translator, node: nodes.Element, *, display: bool) -> None:
    try:
        translator.body.append(to_mathml(node.astext(), display=display))
    except ValueError as error:
        _LOGGER.warning("an equation that MathML cannot be made of: %s", error, location=node)
    raise nodes.SkipNode


def visit_inline(translator: HTML5Translator, node: nodes.Element) -> None:
    """Write an equation within a line."""
    _visit(translator, node, display=False)


def visit_block(translator: HTML5Translator, node: nodes.Element) -> None:
    """Write an equation of its own."""
    translator.body.append(translator.starttag(node, "div", CLASS="equation"))
    try:
        _visit(translator, node, display=True)
    except nodes.SkipNode:
        translator.body.append("</div>\n")
        raise


def setup(app: Sphinx) -> dict[str, Any]:
    """Make this the way equations are written in HTML."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
