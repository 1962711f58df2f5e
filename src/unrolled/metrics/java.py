"""What needs Java: the reference tokeniser, and METEOR. No process outlives its call."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import MissingExtraError, UnrolledError
from unrolled.metrics.tallies import METEOR_COUNTS

__all__ = ["PTB", "failed", "java_is_there", "java_program", "meteor_counts", "ptb_tokenize"]

PTB = "stanford-ptb-3.4.1"
"""The reference tokeniser: Stanford CoreNLP's, in the version that COCO's scorers carry."""

_LONGEST_WAIT = 600.0  # seconds; 25,000 captions take two
_LINE_ENDS = re.compile("[\n\r\v\f\x85\u2028\u2029]")
_MISSING = (
    "metrics: {what} needs pycocoevalcap, which is not installed; "
    'install it with: pip install "unrolled[train]"'
)


def java_is_there() -> bool:
    """Tell whether a ``java`` program can be found, so that METEOR and "ptb" can be asked for."""
    return shutil.which("java") is not None


def java_program(what: str) -> str:
    """Find the ``java`` program.

    Parameters
    ----------
    what : str
        What needs it, for the message.

    Returns
    -------
    str

    Raises
    ------
    MissingExtraError
        If there is none.
    """
    java = shutil.which("java")
    if java is None:
        raise MissingExtraError(
            f"metrics: {what} needs Java, and no `java` was found on the PATH; "
            "install a Java runtime (version 8 or later), or do without"
        )
    return java


def ptb_tokenize(captions: Sequence[str]) -> list[list[str]]:
    """Split captions into words with the Java program that COCO's scorers use.

    The program sees all captions as one text, and now and then what it makes of a caption's last
    word depends on the next caption: see `unrolled.data.tokens`.

    Parameters
    ----------
    captions : sequence of str

    Returns
    -------
    list of list of str
        The words of each caption: lower case, punctuation dropped.

    Raises
    ------
    MissingExtraError
        If Java or pycocoevalcap is not installed.
    UnrolledError
        If the program fails.
    """
    java = java_program("the PTB tokeniser")
    try:
        from pycocoevalcap.tokenizer import ptbtokenizer
    except ImportError as error:
        raise MissingExtraError(_MISSING.format(what="the PTB tokeniser")) from error
    jar = Path(ptbtokenizer.__file__).with_name(ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
    command = [java, "-Dfile.encoding=UTF-8", "-cp", str(jar)]
    command += ["edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    text = "\n".join(_LINE_ENDS.sub(" ", caption) for caption in captions)
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; captions go to its input
            command,
            input=text.encode("utf-8", errors="replace"),
            capture_output=True,
            check=True,
            timeout=_LONGEST_WAIT,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise failed("the PTB tokeniser", error) from error
    lines = done.stdout.decode("utf-8", errors="replace").split("\n")
    if len(lines) < len(captions):
        raise UnrolledError(
            f"metrics: the PTB tokeniser gave {len(lines):,} lines for {len(captions):,} captions; "
            'use tokenizer="unrolled"'
        )
    dropped = frozenset(ptbtokenizer.PUNCTUATIONS)
    # Words may have a no-break space inside, at which the scorers would split them anyway.
    return [
        [word for token in line.split(" ") if token not in dropped for word in token.split()]
        for line in lines[: len(captions)]
    ]


def meteor_counts(
    candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Match tokenised captions with their references by METEOR 1.5, English, as COCO does.

    Parameters
    ----------
    candidates : sequence of str
        For each photo its tokenised caption.
    references : sequence of sequence of str
        For each photo its tokenised references.

    Returns
    -------
    (M, 23) float64
        What `unrolled.metrics.tallies.meteor` makes scores of.

    Raises
    ------
    MissingExtraError
        If Java or pycocoevalcap is not installed.
    UnrolledError
        If the program fails.
    """
    counts = np.zeros((len(candidates), METEOR_COUNTS))
    with _meteor_process() as process:
        try:
            for row, caption, texts in zip(counts, candidates, references, strict=True):
                said = process._stat(_cleared(caption), [_cleared(text) for text in texts])
                row[:] = [float(number) for number in said.split()]
        except (OSError, ValueError) as error:  # a broken pipe, or not the numbers there should be
            raise failed("METEOR", error) from error
    return counts


def _cleared(text: str) -> str:
    """Take out the sign that parts captions where METEOR reads them."""
    return " ".join(text.replace("|||", " ").split())


@contextmanager
def _meteor_process() -> Iterator[Any]:
    """Run METEOR, and end it whatever happens.

    pycocoevalcap's object ends its process only when it is collected, leaves two pipes open then,
    and waits for ever if a score was interrupted, as its lock is still held.
    """
    java_program("METEOR")
    try:
        from pycocoevalcap.meteor.meteor import Meteor
    except ImportError as error:
        raise MissingExtraError(_MISSING.format(what="METEOR")) from error
    scorer = Meteor()
    process = scorer.meteor_p
    try:
        yield scorer
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):  # what was still to be written to a dead process
                pipe.close()
        if scorer.lock.locked():
            scorer.lock.release()


def failed(what: str, error: Exception) -> UnrolledError:
    """Make the error that tells how a Java program failed.

    Parameters
    ----------
    what : str
        The program.
    error : Exception
        What came of running it.

    Returns
    -------
    UnrolledError
    """
    said = getattr(error, "stderr", None) or b""
    reason = said.decode("utf-8", errors="replace").strip().splitlines()[-1:] or [str(error)]
    return UnrolledError(
        f"metrics: {what} (a Java program) failed: {reason[0]}; check `java -version`, "
        'or do without it (no METEOR, no SPICE, tokenizer="unrolled")'
    )
