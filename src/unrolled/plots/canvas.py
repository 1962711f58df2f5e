"""What all pictures share: colours, a figure off screen, and a file written whole."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.errors import DataError, InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), "Color universal design": told apart with every kind of colour vision. Lines
# differ in marker and dash as well, for those who print in grey.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
DASHES = ("-", "--", "-.", ":")
FAINT = "#BBBBBB"
SUFFIXES = (".png", ".svg")
DPI = 125


def check_installed() -> None:
    """Make sure that plots can be drawn, before a long work that ends with one.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.backends.backend_agg  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            'plots need matplotlib; install it with: pip install "unrolled[train]"'
        ) from None


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure that is drawn off screen, without pyplot's global state.

    Parameters
    ----------
    width, height : float
        Inches, of `DPI` pixels in a PNG file.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it where it stands last in a cell.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    check_installed()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows, though pyplot never heard of it."""

        def _repr_png_(self) -> bytes:
            return _render(self, ".png")

    figure = Picture(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure into a PNG or SVG file, which is replaced as a whole or left as it was.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path of a file
        Its suffix says which. Equal figures give equal files.

    Raises
    ------
    InputError
        If the suffix is neither.
    DataError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a picture is a .png or an .svg; give it one of these endings")
    picture = _render(figure, path.suffix.lower())
    unfinished = path.with_name(f".{path.name}.saving")
    try:
        unfinished.write_bytes(picture)
        unfinished.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None


def _render(figure: Figure, suffix: str) -> bytes:
    import matplotlib as mpl

    picture = io.BytesIO()
    nothing = {"Software": None} if suffix == ".png" else {"Date": None}  # else no two are equal
    with mpl.rc_context({"svg.hashsalt": "unrolled"}):
        figure.savefig(picture, format=suffix[1:], dpi=DPI, metadata=nothing)
    return picture.getvalue()


def tidy(axes: Axes) -> None:
    """Give axes of lines a faint grid, and no frame on the right and above.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    """
    axes.grid(alpha=0.3)
    axes.spines[["right", "top"]].set_visible(False)


def percent(share: float) -> str:
    """Write a share in per cent: whole ones, and below one two digits that count.

    Parameters
    ----------
    share : float

    Returns
    -------
    str
    """
    return f"{share:.0%}" if share >= 0.01 else f"{100 * share:.2g}%"


def plain(text: str) -> str:
    """Escape what would be read as an equation: a word can hold any character.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return text.replace("$", r"\$")
