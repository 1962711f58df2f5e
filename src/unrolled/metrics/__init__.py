"""Strings in, scores out: how good captions are, as the field measures it.

The scorers are those of ``pycocoevalcap`` (extra ``train``), which COCO's own evaluation runs; what
is here is checking, tokenising once, and care about Java. BLEU, ROUGE-L and CIDEr need no Java;
METEOR, SPICE and the reference tokeniser do. Scores are fractions, as the scorers give them: papers
print them times 100. `intervals` and `compare` say how sure they are.

>>> from unrolled.metrics import score  # doctest: +SKIP
>>> score({"a.jpg": "a dog runs"}, {"a.jpg": ["A dog runs."]}).corpus["BLEU-1"]  # doctest: +SKIP
0.999...
"""

from unrolled.metrics.bootstrap import RESAMPLES as RESAMPLES
from unrolled.metrics.bootstrap import Comparison as Comparison
from unrolled.metrics.bootstrap import Interval as Interval
from unrolled.metrics.bootstrap import compare as compare
from unrolled.metrics.bootstrap import intervals as intervals
from unrolled.metrics.coco import from_coco_results as from_coco_results
from unrolled.metrics.coco import to_coco_annotations as to_coco_annotations
from unrolled.metrics.coco import to_coco_results as to_coco_results
from unrolled.metrics.diversity import Diversity as Diversity
from unrolled.metrics.diversity import diversity as diversity
from unrolled.metrics.diversity import known_captions as known_captions
from unrolled.metrics.java import java_is_there as java_is_there
from unrolled.metrics.references import TOKENIZERS as TOKENIZERS
from unrolled.metrics.references import ReferenceSet as ReferenceSet
from unrolled.metrics.references import score as score
from unrolled.metrics.scorers import METRICS as METRICS
from unrolled.metrics.scores import Scores as Scores
