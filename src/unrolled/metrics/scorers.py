"""The field's scorers, called as COCO calls them, with what depends on the references kept.

All functions take tokenised captions as the scorers want them: words joined by one space.

References
----------
BLEU: Papineni et al. (2002). ROUGE-L: Lin (2004). CIDEr: Vedantam et al. (2015); what COCO's
scorers and therefore papers call CIDEr clips counts and punishes lengths as CIDEr-D does. METEOR:
Denkowski & Lavie (2014). Their common form: Chen et al., Microsoft COCO Captions (2015).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import MissingExtraError
from unrolled.metrics.java import meteor

__all__ = ["METRICS", "SCORERS", "CookedReferences", "Result", "Scorer"]

Result = tuple[dict[str, float], dict[str, NDArray[np.float64]]]
"""Corpus scores, and each caption's own, both by the metric's printed name."""

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


def _bleu(candidates: Sequence[str], references: CookedReferences) -> Result:
    cooked = references.bleu
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=4)
    scorer.crefs = cooked
    scorer.retest(list(candidates))
    corpus, captions = scorer.compute_score(option="closest", verbose=0)
    names = [f"BLEU-{n}" for n in (1, 2, 3, 4)]
    return (
        {name: float(value) for name, value in zip(names, corpus, strict=True)},
        {name: np.asarray(each, np.float64) for name, each in zip(names, captions, strict=True)},
    )


def _rouge(candidates: Sequence[str], references: CookedReferences) -> Result:
    try:
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError as error:
        raise MissingExtraError(_MISSING) from error
    scorer = Rouge()
    pairs = zip(candidates, references.references, strict=True)
    return _mean("ROUGE-L", [scorer.calc_score([text], texts) for text, texts in pairs])


def _cider(candidates: Sequence[str], references: CookedReferences) -> Result:
    cooked, document_frequency = references.cider
    from pycocoevalcap.cider.cider_scorer import cook_test

    scorer = _cider_scorer()
    scorer.crefs = cooked
    scorer.ctest = [cook_test(text) for text in candidates]
    # A copy: the scorer adds a zero for each n-gram that it asks for.
    scorer.document_frequency = defaultdict(float, document_frequency)
    return _mean("CIDEr", scorer.compute_cider())


def _cider_scorer() -> Any:
    try:
        from pycocoevalcap.cider.cider_scorer import CiderScorer
    except ImportError as error:
        raise MissingExtraError(_MISSING) from error
    return CiderScorer(n=4, sigma=6.0)


def _meteor(candidates: Sequence[str], references: CookedReferences) -> Result:
    corpus, captions = meteor(candidates, references.references)
    return {"METEOR": corpus}, {"METEOR": np.asarray(captions, np.float64)}


def _mean(name: str, values: Sequence[float]) -> Result:
    captions = np.asarray(values, np.float64)
    return {name: float(np.mean(captions))}, {name: captions}


Scorer = Callable[[Sequence[str], CookedReferences], Result]

SCORERS: Mapping[str, Scorer] = {
    "BLEU": _bleu,
    "ROUGE": _rouge,
    "CIDEr": _cider,
    "METEOR": _meteor,
}
"""Every metric by the name that users ask for; a new one is a function and a line here."""

METRICS = tuple(SCORERS)
"""The names of all metrics."""
