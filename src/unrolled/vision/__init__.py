"""Photos to feature arrays: decoding, squashing, and a pretrained encoder."""

from unrolled.vision.encoder import Encoded as Encoded
from unrolled.vision.encoder import Encoder as Encoder
from unrolled.vision.encoder import PhotoFeatures as PhotoFeatures
from unrolled.vision.photos import load_photo as load_photo
from unrolled.vision.views import AUGMENTATIONS as AUGMENTATIONS
from unrolled.vision.views import VIEWS as VIEWS
from unrolled.vision.weights import ENCODERS as ENCODERS
