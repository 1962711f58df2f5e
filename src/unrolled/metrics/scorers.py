"""The field's scorers, called as COCO calls them, with what depends on the references kept.

All functions take tokenised captions as the scorers want them: words joined by one space.

Three scores are called CIDEr. They weigh and compare n-grams alike; what they do besides:

==============  ===================================  ======  =======  =============
here            elsewhere                            clips   lengths  counted by
==============  ===================================  ======  =======  =============
``CIDEr``       ``CIDEr`` of coco-caption, and so    yes     yes      pycocoevalcap
                of papers since 2015
``CIDEr-D``     CIDEr-D of Vedantam et al. 2015,     yes     yes      `CiderD`, the
                ``ciderD`` in vrama91/cider                           reward
``CIDEr-2015``  CIDEr of Vedantam et al. 2015,       no      no       `CiderD`
                ``cider`` in vrama91/cider
==============  ===================================  ======  =======  =============

*Clips*: a word said more often than the reference says it gains nothing. *Lengths*: a caption of
another length than the reference is marked down. The first two are one score, counted twice. The
paper stems words before; neither its authors' code nor this does.

References
----------
BLEU: Papineni et al. (2002). ROUGE-L: Lin (2004). CIDEr: Vedantam, Zitnick & Parikh (2015).
METEOR: Denkowski & Lavie (2014). SPICE: Anderson et al. (2016). Their common form: Chen et al.,
Microsoft COCO Captions (2015).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import MissingExtraError
from unrolled.metrics.java import meteor_counts
from unrolled.metrics.reward import CiderD
from unrolled.metrics.spice import spice
from unrolled.metrics.tallies import N_GRAMS, Tally, bleu, mean, meteor

__all__ = ["METRICS", "SCORERS", "CookedReferences", "Scorer"]

_MISSING = (
    "metrics: the scorers are not installed (pycocoevalcap); "
    'install them with: pip install "unrolled[train]"'
)


class CookedReferences:
    """Tokenised references and the counts that the scorers make of them, made once and kept.

    Parameters
    ----------
    references : sequence of sequence of str
        For each photo its tokenised references.
    """

    def __init__(self, references: Sequence[Sequence[str]]) -> None:
        self.references = tuple(tuple(texts) for texts in references)

    @cached_property
    def bleu(self) -> list[Any]:
        """Lengths and n-gram counts of each photo's references."""
        try:
            from pycocoevalcap.bleu.bleu_scorer import cook_refs
        except ImportError as error:
            raise MissingExtraError(_MISSING) from error
        return [cook_refs(texts) for texts in self.references]

    @cached_property
    def cider(self) -> tuple[list[Any], dict[tuple[str, ...], float]]:
        """N-gram counts of each reference, and in how many photos' references an n-gram occurs."""
        scorer = _cider_scorer()
        for texts in self.references:
            scorer += (None, texts)
        scorer.compute_doc_freq()
        return scorer.crefs, dict(scorer.document_frequency)


def _bleu(candidates: Sequence[str], references: CookedReferences) -> Tally:
    cooked = references.bleu
    from pycocoevalcap.bleu.bleu_scorer import cook_test

    found = [
        cook_test(text, refs, eff="closest") for text, refs in zip(candidates, cooked, strict=True)
    ]
    rows = [[f["testlen"], f["reflen"], *f["correct"], *f["guess"]] for f in found]
    return bleu(np.array(rows, np.float64).reshape(-1, 2 + 2 * N_GRAMS))


def _rouge(candidates: Sequence[str], references: CookedReferences) -> Tally:
    try:
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError as error:
        raise MissingExtraError(_MISSING) from error
    scorer = Rouge()
    pairs = zip(candidates, references.references, strict=True)
    return mean("ROUGE-L", [scorer.calc_score([text], texts) for text, texts in pairs])


def _cider(candidates: Sequence[str], references: CookedReferences) -> Tally:
    cooked, document_frequency = references.cider
    from pycocoevalcap.cider.cider_scorer import cook_test

    scorer = _cider_scorer()
    scorer.crefs = cooked
    scorer.ctest = [cook_test(text) for text in candidates]
    # A copy: the scorer adds a zero for each n-gram that it asks for.
    scorer.document_frequency = defaultdict(float, document_frequency)
    return mean("CIDEr", scorer.compute_cider())


def _cider_scorer() -> Any:
    try:
        from pycocoevalcap.cider.cider_scorer import CiderScorer
    except ImportError as error:
        raise MissingExtraError(_MISSING) from error
    return CiderScorer(n=4, sigma=6.0)


def _cider_d(candidates: Sequence[str], references: CookedReferences) -> Tally:
    return mean("CIDEr-D", _reward(candidates, references))


def _cider_2015(candidates: Sequence[str], references: CookedReferences) -> Tally:
    return mean("CIDEr-2015", _reward(candidates, references, plain=True))


def _reward(
    candidates: Sequence[str], references: CookedReferences, *, plain: bool = False
) -> NDArray[np.float64]:
    said = [text.split() for text in candidates]
    words = sorted({word for text in said for word in text})
    number = {word: index for index, word in enumerate(words)}
    captions = np.full((len(said), max(max(map(len, said), default=0), 1)), -1, np.int64)
    for row, text in zip(captions, said, strict=True):
        row[: len(text)] = [number[word] for word in text]
    scorer = CiderD([[text.split() for text in texts] for texts in references.references], words)
    parts = np.split(np.arange(len(said)), range(256, len(said), 256))  # to bound the memory
    return np.concatenate([scorer.score(part, captions[part], plain=plain) for part in parts])


def _meteor(candidates: Sequence[str], references: CookedReferences) -> Tally:
    return meteor(meteor_counts(candidates, references.references))


def _spice(candidates: Sequence[str], references: CookedReferences) -> Tally:
    return mean("SPICE", spice(candidates, references.references))


Scorer = Callable[[Sequence[str], CookedReferences], Tally]

SCORERS: Mapping[str, Scorer] = {
    "BLEU": _bleu,
    "ROUGE": _rouge,
    "CIDEr": _cider,
    "CIDEr-D": _cider_d,
    "CIDEr-2015": _cider_2015,
    "METEOR": _meteor,
    "SPICE": _spice,
}
"""Every metric by the name that users ask for; a new one is a function and a line here."""

METRICS = tuple(SCORERS)
"""The names of all metrics."""
