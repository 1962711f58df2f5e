"""SPICE, where what it needs is there: Java, and a parser that nothing brings by itself.

``pycocoevalcap`` carries SPICE's own program, but not the Stanford CoreNLP 3.6.0 that it parses
captions with (half a gigabyte). Its own scorer fetches that when first used; this one never fetches
anything, and says what is missing.

References
----------
Anderson, Fernando, Johnson & Gould (2016), "SPICE: semantic propositional image caption
evaluation".
"""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from unrolled.errors import MissingExtraError
from unrolled.metrics.java import failed, java_program

__all__ = ["spice"]

_LONGEST_WAIT = 3600.0  # seconds
_JARS = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


def spice(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Score captions by the objects, attributes and relations that references share with them.

    Parameters
    ----------
    candidates : sequence of str
        For each photo its tokenised caption.
    references : sequence of sequence of str
        For each photo its tokenised references.

    Returns
    -------
    list of float
        Each caption's F score in [0, 1]; the corpus score is their mean.

    Raises
    ------
    MissingExtraError
        If Java, pycocoevalcap or the parser is not installed.
    UnrolledError
        If the program fails.
    """
    java = java_program("SPICE")
    jar = _program()
    asked = [
        {"image_id": number, "test": text, "refs": list(texts)}
        for number, (text, texts) in enumerate(zip(candidates, references, strict=True))
    ]
    with tempfile.TemporaryDirectory(prefix="unrolled-spice-") as folder:
        question, answer = Path(folder) / "captions.json", Path(folder) / "scores.json"
        question.write_text(json.dumps(asked), encoding="ascii")
        # No cache between runs: it would lie in the installed package, and Java 17 cannot open it.
        command = [java, "-Xmx8G", "-jar", str(jar), str(question), "-out", str(answer), "-silent"]
        try:
            subprocess.run(  # noqa: S603 - a fixed command; captions are in the file
                command, capture_output=True, check=True, timeout=_LONGEST_WAIT
            )
            told = json.loads(answer.read_text(encoding="utf-8"))
            scores = {int(each["image_id"]): _number(each["scores"]["All"]["f"]) for each in told}
            return [scores[number] for number in range(len(asked))]
        except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError) as error:
            raise failed("SPICE", error) from error


def _number(value: object) -> float:
    """Read a score; where the references say nothing, there is none, and that is worth nothing."""
    number = 0.0 if value is None else float(str(value))
    return number if math.isfinite(number) else 0.0


def _program() -> Path:
    try:
        from pycocoevalcap.spice import get_stanford_models
    except ImportError as error:
        raise MissingExtraError(
            "metrics: SPICE needs pycocoevalcap, which is not installed; "
            'install it with: pip install "unrolled[train]"'
        ) from error
    folder = Path(get_stanford_models.__file__).parent
    missing = [name for name in _JARS if not (folder / "lib" / name).is_file()]
    if missing:
        raise MissingExtraError(
            f"metrics: SPICE needs Stanford CoreNLP 3.6.0, which pycocoevalcap does not carry; put "
            f"{' and '.join(missing)} (from stanford-corenlp-full-2015-12-09.zip, at "
            f"stanfordnlp.github.io/CoreNLP) into {folder / 'lib'}, or do without SPICE"
        )
    return folder / "spice-1.0.jar"
