"""A captioner: a model, its vocabulary and its encoder, loaded from one folder and ready to use.

>>> from unrolled.captioner import Captioner
>>> captioner = Captioner.load()                                     # doctest: +SKIP
>>> [c.text for _, c in captioner.caption_photos(["dog.jpg"])]       # doctest: +SKIP
['a brown dog runs through the grass']
"""

from unrolled.captioner.captioner import Captioner
from unrolled.captioner.decoding import Caption, Decoding
from unrolled.captioner.ensemble import Captioners
from unrolled.captioner.saying import images_together
from unrolled.captioner.seeing import Eyes
from unrolled.captioner.shipping import DEFAULT, shipped
from unrolled.captioner.wishes import DIVERSITY, Wishes
from unrolled.captioner.words import Word, number_words, weigh_words

__all__ = [
    "DEFAULT",
    "DIVERSITY",
    "Caption",
    "Captioner",
    "Captioners",
    "Decoding",
    "Eyes",
    "Wishes",
    "Word",
    "images_together",
    "number_words",
    "shipped",
    "weigh_words",
]
