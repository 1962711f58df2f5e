"""Captions, vocabulary, features and batches: from files to arrays."""

from unrolled.data.batches import Batch as Batch
from unrolled.data.batches import CaptionBatches as CaptionBatches
from unrolled.data.captions import CaptionSet as CaptionSet
from unrolled.data.captions import Photo as Photo
from unrolled.data.captions import SplitCounts as SplitCounts
from unrolled.data.encode import EncodedCaptions as EncodedCaptions
from unrolled.data.encode import caption_lengths as caption_lengths
from unrolled.data.encode import encode_captions as encode_captions
from unrolled.data.feature_writer import FeatureWriter as FeatureWriter
from unrolled.data.features import FeatureStore as FeatureStore
from unrolled.data.formats import FORMATS as FORMATS
from unrolled.data.formats import read_captions as read_captions
from unrolled.data.formats.coco_captioning import CocoCaptioning as CocoCaptioning
from unrolled.data.formats.coco_captioning import CocoSplit as CocoSplit
from unrolled.data.formats.coco_captioning import read_coco_captioning as read_coco_captioning
from unrolled.data.photos import PHOTO_SUFFIXES as PHOTO_SUFFIXES
from unrolled.data.rows import RowsOfFeatures as RowsOfFeatures
from unrolled.data.splits import hashed_splits as hashed_splits
from unrolled.data.tokens import TOKENIZER as TOKENIZER
from unrolled.data.tokens import detokenize as detokenize
from unrolled.data.tokens import tokenize as tokenize
from unrolled.data.vocabulary import SPECIALS as SPECIALS
from unrolled.data.vocabulary import Vocabulary as Vocabulary
