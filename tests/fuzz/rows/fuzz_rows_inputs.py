"""Valid calls of `jaxnn.data`: preprocessing, and `jaxnn.data.augment`."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import is_array
from fuzz_kinds import (
    anything,
    array,
    choice,
    function,
    integer,
    integers,
    key,
    knob,
    numbers,
    only,
)
from fuzz_outcome import Row, row
from fuzz_rows_sets import batch, names

from jaxnn import data
from jaxnn.data import augment

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = np.arange(20) % 2
IMAGES = RNG.normal(size=(4, 6, 6, 3)).astype(np.float32)
BATCH = {"x": X.astype(np.float32), "y": Y}
FRAME = {"width": [0.5, 0.25], "kind": ["iris", "rose"]}
NOT_NEGATIVE, PART = "[0, inf)", "[0, 1]"
FITS = ("standardize", "mean_image", "channel_mean", "channel_standardize", "pca", "whiten", "zca")


def wide(value: Any) -> Any:
    """Numbers that the host keeps in float64."""
    return array(value, also=lambda o: getattr(o, "dtype", None) == np.int64)


def _scaled(name: str, fit: str, **values: Any) -> Any:
    return getattr(data, name)(getattr(data, fit)(X), *values.values())


def _preprocessing() -> list[Row]:
    image = RNG.normal(size=(5, 4, 4, 3))
    components = anything(2, lambda o: o is None or o in (1, 2, 3), skip=())
    states = {
        "standardize": data.fit_standardize(X),
        "center": data.fit_mean_image(X),
        "pca": data.fit_pca(X),
        "whiten": data.fit_whiten(X),
        "zca": data.fit_zca(X),
    }
    eps = knob(1e-5, NOT_NEGATIVE)  # kept in float64
    backward = {"center": "uncenter", "pca": "unpca"}
    return [
        row("data.fit_standardize", x=wide(X)),
        row("data.fit_mean_image", x=wide(X)),
        row("data.fit_channel_mean", x=array(image)),
        row("data.fit_channel_standardize", x=array(image)),
        row("data.fit_pca", x=array(X), n_components=components),
        row("data.fit_whiten", x=array(X), n_components=components, eps=eps),
        row("data.fit_zca", x=wide(X), eps=eps),
        *(
            row(f"data.{name}", state=only(state, none=False), x=array(X))
            for name, state in states.items()
        ),
        *(
            row(f"data.{backward.get(name, 'un' + name)}", state=only(state), z=array(X))
            for name, state in states.items()
        ),
        row("data.fit_min_max", x=wide(X), low=knob(0.0), high=knob(3.0)),
        row("data.fit_robust", x=wide(X), low=knob(0.25, PART), high=knob(0.75, PART)),
        *(
            Row(f"data.{name}", {"x": array(X)}, partial(_scaled, name, f"fit_{name}"))
            for name in ("min_max", "robust")
        ),
        *(
            Row(f"data.un{name}", {"z": array(X)}, partial(_scaled, f"un{name}", f"fit_{name}"))
            for name in ("min_max", "robust")
        ),
        row("data.apply", state=only(states["pca"]), x=array(X)),
        row("data.invert", state=only(states["pca"]), z=array(X)),
    ]


def _tables() -> list[Row]:
    encoding = data.fit_encoding(FRAME, categorical=["kind"])
    return [
        Row(
            "data.fit_encoding",
            {
                "table": anything(
                    FRAME, lambda o: array(0).takes(o) or isinstance(o, dict), loose=True
                ),
                "categorical": names(["kind"]),
                "missing": choice("refuse", "mean", "median", "most_frequent"),
                "unknown": choice("refuse", "zeros"),
            },
            lambda **values: data.fit_encoding(**values) and None,
        ),
        row("data.encode", state=only(encoding), table=only(FRAME)),
        Row(
            "data.decode",
            {"z": array(np.array([[0.5, 1.0, 0.0]]))},
            lambda z: list(data.decode(encoding, z)),
        ),
        row(
            "data.describe_preprocess", lambda made: None, preprocess=only(data.fit_standardize(X))
        ),
        row(
            "data.restore_preprocess",
            described=only({"kind": "Centering"}),
            arrays=only({"mean": np.ones(2)}),
        ),
    ]


def _augmentations() -> list[Row]:
    def augmented(augmentation: Any) -> Any:
        return augmentation(jax.random.key(0), {"x": jnp.asarray(IMAGES)})["x"]

    def mixed(augmentation: Any) -> Any:
        labelled = {"x": jnp.asarray(IMAGES), "y": jnp.asarray([0, 1, 2, 1])}
        return augmentation(jax.random.key(0), labelled)

    fill = anything(
        0.0,
        lambda o: (
            o == "edge"
            if isinstance(o, str)
            else (knob(0.0).takes(o) or numbers((), lengths=(3,)).takes(o))
        ),
    )
    name = "data.augment."
    part, amount, angle = knob(0.1, PART), knob(0.1, NOT_NEGATIVE), knob(10.0, "[0, 180]")
    slant, x = knob(10.0, "[0, 90)"), array(IMAGES)

    def of_rows(value: float) -> Any:
        """One number, or one for each of the four examples."""
        return anything(
            value,
            lambda o: (
                knob(0.0).takes(o)
                or numbers((), lengths=(4,)).takes(o)
                or (is_array(o) and o.dtype == np.int64)
            ),
            loose=True,
        )

    affine = {
        "rotation": knob(10.0, "[0, 180]", none=True),
        "translation": knob(0.1, PART, none=True),
        "zoom": knob(0.1, NOT_NEGATIVE, none=True),
        "shear": knob(10.0, "[0, 90)", none=True),
    }
    tokens = np.array([[1, 3, 0], [4, 3, 2]])
    replaced = augment.substitute_tokens({3: [7], 4: [8, 9]}, 0.5)
    brighter = augment.brightness(0.1)
    return [
        row(name + "affine", augmented, fill=fill, **affine),
        row(name + "rotate", augmented, max_angle=angle, fill=fill),
        row(name + "translate", augmented, max_shift=part, fill=fill),
        row(name + "zoom", augmented, max_change=amount, fill=fill),
        row(name + "shear", augmented, max_angle=slant, fill=fill),
        row(name + "brightness", augmented, max_delta=amount),
        row(name + "contrast", augmented, max_change=part),
        row(name + "noise", augmented, stddev=amount),
        row(name + "channel_shift", augmented, max_delta=amount),
        row(name + "saturation", augmented, max_change=part),
        row(name + "hue", augmented, max_angle=angle),
        row(name + "crop", augmented, padding=knob(1, NOT_NEGATIVE), fill=fill),
        row(name + "cutout", augmented, side=knob(0.5, PART), fill=fill),
        row(name + "flip_horizontal", augmented, probability=part),
        row(name + "flip_vertical", augmented, probability=part),
        row(name + "mixup", mixed, alpha=amount, classes=integer(3, 3, none=False)),
        row(name + "adjust_brightness", x=x, delta=of_rows(0.1)),
        row(name + "adjust_contrast", x=x, factor=of_rows(0.5)),
        row(name + "adjust_saturation", x=x, factor=of_rows(0.5)),
        row(name + "adjust_hue", x=x, angle=of_rows(10.0)),
        row(
            name + "shift_pixels",
            x=x,
            fill=fill,
            shift=anything(
                (1, 1),
                lambda o: numbers((), lengths=(2,)).takes(o) or array(0).takes(o),
                loose=True,
            ),
        ),
        row(
            name + "warp",
            x=x,
            angle=of_rows(10.0),
            zoom=of_rows(1.1),
            shear=of_rows(5.0),
            shift=anything((0.5, 0.5), array(0).takes, loose=True),
            fill=fill,
        ),
        row(
            name + "substitute_tokens",
            lambda made: made(jax.random.key(0), tokens),
            synonyms=only({3: [7], 4: [8, 9]}),
            rate=part,
        ),
        Row(
            name + "substitute_tokens:augmentation",
            {"key": key(0), "batch": batch({"x": tokens})},
            lambda key, batch: replaced(key, batch),
        ),
        Row(
            name + "compose",
            {"augmentations": function(brighter, called=("augmentation",))},
            lambda augmentations: augmented(augment.compose(brighter, augmentations)),
        ),
        Row(
            name + "as_images",
            {"shape": integers((6, 6, 3), lengths=(3,)), "augmentation": function(brighter)},
            lambda shape, augmentation: augment.as_images(shape, augmentation)(
                jax.random.key(0), {"x": jnp.asarray(IMAGES.reshape(4, -1))}
            ),
        ),
        Row(
            name + "brightness:augmentation",
            {"key": key(0), "batch": batch({"x": IMAGES})},
            lambda key, batch: brighter(key, batch),
        ),
        Row(
            name + "mixup:augmentation",
            {"key": key(0), "batch": batch({"x": IMAGES, "y": np.array([0, 1, 2, 1])})},
            lambda key, batch: augment.mixup(0.2, 3)(key, batch),
        ),
    ]


def rows() -> list[Row]:
    return [*_preprocessing(), *_tables(), *_augmentations()]
