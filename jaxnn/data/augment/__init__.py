"""Augmentation: random changes of training inputs that keep their labels true.

A factory such as `rotate(15.0)` returns a pure function `(key, batch) -> batch`, which
`Recipe(augmentation=…)` runs inside the compiled step. In any other loop it also takes an array of
inputs alone. Every example has its own draws, every strength is a knob, and a strength of 0
returns the inputs bit for bit.
"""

from jaxnn.data.augment.colour import (
    adjust_hue,
    adjust_saturation,
    channel_shift,
    hue,
    saturation,
)
from jaxnn.data.augment.combine import as_images, compose
from jaxnn.data.augment.geometry import affine, rotate, shear, translate, zoom
from jaxnn.data.augment.inputs import Augmentation
from jaxnn.data.augment.intensity import (
    adjust_brightness,
    adjust_contrast,
    brightness,
    contrast,
    noise,
)
from jaxnn.data.augment.mix import mixup
from jaxnn.data.augment.pixels import crop, cutout, flip_horizontal, flip_vertical, shift_pixels
from jaxnn.data.augment.resampling import warp
from jaxnn.data.augment.tokens import substitute_tokens

__all__ = [
    "Augmentation",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "affine",
    "as_images",
    "brightness",
    "channel_shift",
    "compose",
    "contrast",
    "crop",
    "cutout",
    "flip_horizontal",
    "flip_vertical",
    "hue",
    "mixup",
    "noise",
    "rotate",
    "saturation",
    "shear",
    "shift_pixels",
    "substitute_tokens",
    "translate",
    "warp",
    "zoom",
]
