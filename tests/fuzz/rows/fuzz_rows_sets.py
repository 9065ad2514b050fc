"""Valid calls of `jaxnn.data`: data sets, splits and streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from fuzz_argument import are_integers, is_array
from fuzz_kinds import (
    anything,
    choice,
    flag,
    function,
    integer,
    key,
    knob,
    numbers,
    only,
    text,
    tree,
)
from fuzz_outcome import Row, row
from image_files import write_cifar, write_idx

from jaxnn import data

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = np.arange(20) % 2
IMAGES = RNG.normal(size=(4, 6, 6, 3)).astype(np.float32)
BATCH = {"x": X.astype(np.float32), "y": Y}
NOT_NEGATIVE, PART = "[0, inf)", "[0, 1]"
FITS = ("standardize", "mean_image", "channel_mean", "channel_standardize", "pca", "whiten", "zca")


def labels(value: Any) -> Any:
    """Labels to stratify by may be of any kind; their number is what counts."""
    return anything(value, lambda o: o is None, loose=True)


def of_labels(n: int) -> Any:
    """A number of examples, which must be that of the labels."""
    return integer(n, called=("labels", "examples"))


def preprocess(value: Any) -> Any:
    return function(value, none=True, also=lambda o: isinstance(o, str) and o in FITS)


def path(value: Any) -> Any:
    return anything(value, lambda o: False, called=("file", "folder"))


def parts(value: Any = (0.6, 0.2, 0.2)) -> Any:
    def takes(other: Any) -> bool:
        return numbers((), "(0, 1]").takes(other) and 0 < sum(map(float, other)) <= 1

    return anything(value, takes)


def batch(value: Any, **more: Any) -> Any:
    return tree(value, called=("x", "y"), **more)


def unread(value: Any, **more: Any) -> Any:
    """A batch of which only shapes and dtypes are looked at."""
    return batch(value, also=lambda o: is_array_of_numbers(o) or callable(o), **more)


def is_array_of_numbers(value: Any) -> bool:
    return is_array(value) and getattr(value.dtype, "kind", "") in "biufc"


def is_list_of_arrays(value: Any) -> bool:
    """A list of rows too, and an array of them."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, list) for item in value)
    return is_array_of_numbers(value) and value.ndim > 0


def names(value: Any) -> Any:
    """Names of columns, of which the pool has none; an array may hold them too."""
    return anything(value, lambda o: isinstance(o, (list, tuple, np.ndarray)) and not len(o))


def _pictures(folder: Path) -> Path:
    """Two classes of ten pictures each, one folder for each class."""
    from PIL import Image

    for index in range(20):
        place = folder / "pictures" / ("even" if index % 2 == 0 else "odd")
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.full((4, 4, 3), 5 * index, np.uint8)
        Image.fromarray(pixels).save(place / f"{index}.png")
    return folder / "pictures"


def _sets(folder: Path) -> list[Row]:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "some.npz", x=X, y=Y)
    lines = [f"{a},{b},{c},{k}" for (a, b, c), k in zip(X, Y, strict=True)]
    (folder / "some.csv").write_text("a,b,c,kind\n" + "\n".join(lines) + "\n")
    data.save_state(folder / "state", data.fit_standardize(X))
    split = {
        "key": key(0),
        "fractions": parts(),
        "stratify": flag(True),
        "preprocess": preprocess("standardize"),
    }
    state = only(data.fit_standardize(X))
    images = {
        "key": key(0),
        "download": flag(False),
        "verify": flag(False),
        "preprocess": preprocess(None),
        "val_fraction": knob(0.1, "(0, 1)", none=True),
    }

    # Small files in the format of each set; nothing may be fetched.
    write_idx(folder / "idx", train=40, test=10)
    write_cifar(folder / "cifar")

    def read(name: str, place: str) -> Row:
        def call(**values: Any) -> Any:
            with mock.patch("urllib.request.urlopen", side_effect=OSError("no network here")):
                return getattr(data, name)(**values).train

        there = anything(folder / place, lambda o: False, skip=("None",))
        return Row(f"data.{name}", {**images, "folder": there}, call)

    return [
        row(
            "data.Data",
            train=unread(BATCH),
            val=unread(BATCH, none=True),
            test=unread(BATCH, none=True),
            preprocess=only(None, none=True),
            classes=anything(
                ("a", "b"),
                lambda o: (
                    o is None
                    or (isinstance(o, (list, tuple)) and all(isinstance(c, str) for c in o))
                ),
            ),
        ),
        Row(
            "data.Data:steps_per_epoch",
            {"batch_size": integer(5, huge=True)},
            lambda batch_size: data.Data(BATCH).steps_per_epoch(batch_size),
        ),
        row("data.from_arrays", x=batch(X), y=batch(Y, none=True), **split),
        row(
            "data.from_parts",
            train=batch(BATCH),
            val=batch(BATCH, none=True),
            test=batch(BATCH, none=True),
            preprocess=preprocess("standardize"),
        ),
        row("data.digits", key=key(0), preprocess=preprocess(None), slow=True),
        row(
            "data.from_npz",
            path=path(folder / "some.npz"),
            x=text("x"),
            y=text("y", none=True),
            **split,
        ),
        row(
            "data.from_csv",
            path=path(folder / "some.csv"),
            delimiter=text(","),
            target=anything("kind", lambda o: o is None or o in (-1, 0, 1, 2), loose=True),
            header=anything(True, lambda o: o is None or isinstance(o, bool)),
            **split,
        ),
        read("mnist", "idx"),
        read("fashion_mnist", "idx"),
        read("cifar10", "cifar"),
        row(
            "data.k_fold_indices",
            n=of_labels(20),
            k=integer(4, 2, 20, huge=True),
            key=key(0),
            labels=labels(Y),
        ),
        row(
            "data.k_fold_data",
            batch=batch(BATCH),
            k=integer(4, 2, 20, huge=True),
            key=key(0),
            stratify=flag(True),
            preprocess=preprocess("standardize"),
        ),
        row("data.split_indices", n=of_labels(20), key=key(0), fractions=parts(), labels=labels(Y)),
        row(
            "data.save_state",
            path=anything(
                folder / "other", lambda o: False, skip=("'no'", "'('", "b'x'", "1", "2", "True")
            ),
            state=state,
        ),
        row(
            "data.from_frame",
            frame=only({"a": X[:, 0], "y": Y}),
            target=text("y", none=True),
            categorical=names(()),
            missing=choice("refuse", "mean", "median", "most_frequent"),
            preprocess_y=preprocess(None),
            unknown=choice("refuse", "zeros"),
            **split,
        ),
        row(
            "data.from_image_folders",
            lambda made: made.train,
            path=path(_pictures(folder)),
            size=anything((4, 4), lambda o: o is None or are_integers(o, 1, (2,))),
            channels=integer(3, 1, 3, none=True),
            **split,
        ),
        row("data.load_state", path=path(folder / "state")),
        row("data.stream", lambda made: next(made.batches(None, 0, 4)), arrays=unread(BATCH)),
        row(
            "data.iterate",
            lambda made: next(iter(made.batches(None, 0, 32)), None),
            source=function(
                [BATCH],
                also=is_list_of_arrays,
                holds_numbers=True,
                called=("iterate", "batch 0", "batch"),
            ),
        ),
    ]


def rows(folder: Path) -> list[Row]:
    return _sets(folder)
