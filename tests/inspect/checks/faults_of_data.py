"""Planted faults of data; see `fault_table`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import subjects as s
from subjects import Fault, binary, blobs, classifier, curve, regression

import jaxnn
from jaxnn.data import Data


def with_column(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Replace the last feature by a function of all."""
    return lambda x: np.concatenate([x[:, :-1], change(x)], 1).astype(np.float32)


def nan(x: np.ndarray) -> np.ndarray:
    x[3, 1] = np.nan
    return x


def doubled_rows(share: float, relabel: bool = False) -> Data:
    data = blobs()
    n = int(share * len(data.train["y"]))
    more = {name: leaf[:n] for name, leaf in data.train.items()}
    if relabel:
        more["y"] = (more["y"] + 1) % s.CLASSES
    train = {name: np.concatenate([leaf, more[name]]) for name, leaf in data.train.items()}
    return Data(train, data.val, data.test)


def overlapping() -> Data:
    data = blobs()
    return Data(data.train, data.val, {n: leaf[:40] for n, leaf in data.train.items()})


def standardized_apart() -> Data:
    data = blobs()

    def own(rows: Any) -> Any:
        x = rows["x"].astype(np.float64)
        return {"x": (x - x.mean(0)[None]) / x.std(0)[None], "y": rows["y"]}

    return Data(own(data.train), own(data.val), own(data.test))


def rare_class() -> Data:
    data = blobs()
    keep = (data.train["y"] != 2) | (np.arange(240) == np.argmax(data.train["y"] == 2))
    keep &= (data.train["y"] != 2) | (np.cumsum(data.train["y"] == 2) < 1)
    return Data({name: leaf[keep] for name, leaf in data.train.items()}, data.val)


DATA = {
    "NaN among the inputs": Fault(lambda: (classifier(), blobs(nan)), "data"),
    "parts of other widths": Fault(
        lambda: (classifier(), blobs(lambda x: x[:, :5], only="val")), "data"
    ),
    "inputs in the thousands": Fault(
        lambda: (classifier(), blobs(lambda x: 1000 * x)), "inputs standardized", "x["
    ),
    "one feature in the thousands": Fault(
        lambda: (classifier(), blobs(with_column(lambda x: 1000 * x[:, -1:]))),
        "inputs standardized",
        "x[5]",
    ),
    "inputs divided by 255 twice": Fault(
        lambda: (classifier(), blobs(lambda x: x / 255**2)), "inputs standardized"
    ),
    "inputs far from 0": Fault(
        lambda: (classifier(), blobs(lambda x: 0.1 * x + 5)), "inputs standardized"
    ),
    "bytes as they are": Fault(
        lambda: (classifier(), blobs(lambda x: np.uint8(np.clip(40 * x + 128, 0, 255)))),
        "inputs standardized",
    ),
    "features of unlike scales": Fault(
        lambda: (classifier(), blobs(with_column(lambda x: 1e-3 * x[:, -1:]))),
        "inputs standardized",
        "x[5]",
    ),
    "a constant feature": Fault(
        lambda: (classifier(), blobs(with_column(lambda x: 0 * x[:, -1:] + 1))),
        "constant features",
        "x[5]",
    ),
    "half of the pixels lost": Fault(
        lambda: (
            classifier(jaxnn.nn.MLP((16, 10))),
            Data({"x": s.images().train["x"] * (np.arange(64) < 30), "y": s.images().train["y"]}),
        ),
        "constant features",
    ),
    "a feature twice": Fault(
        lambda: (classifier(), blobs(with_column(lambda x: x[:, 1:2]))),
        "duplicated features",
        "x[1]",
    ),
    "a feature in two units": Fault(
        lambda: (classifier(), blobs(with_column(lambda x: -0.5 * x[:, :1] + 0.3))),
        "duplicated features",
        "x[0], x[5]",
    ),
    "test inputs not scaled": Fault(
        lambda: (classifier(), blobs(lambda x: 16 * x, only="test")), "parts scaled alike", "test"
    ),
    "validation inputs shifted": Fault(
        lambda: (classifier(), blobs(lambda x: x + 3, only="val")), "parts scaled alike", "val"
    ),
    "one feature of test in another unit": Fault(
        lambda: (
            classifier(),
            blobs(with_column(lambda x: 2.5 * x[:, -1:] + 30), only="test"),
        ),
        "parts scaled alike",
        "test: x[5]",
    ),
    "each part standardized by itself": Fault(
        lambda: (classifier(), standardized_apart()), "parts scaled alike", "val"
    ),
    "a tenth of the examples twice": Fault(
        lambda: (classifier(), doubled_rows(0.1)), "repeated examples"
    ),
    "copies with other labels": Fault(
        lambda: (classifier(), doubled_rows(0.04, relabel=True)), "repeated examples"
    ),
    "test examples in train": Fault(lambda: (classifier(), overlapping()), "parts overlap", "test"),
    "a class without examples": Fault(
        lambda: (classifier(), rare_class()), "class balance", "class 2"
    ),
    "labels as floats": Fault(lambda: (classifier(), blobs(y=lambda y: y / 255)), "labels"),
    "labels from 1": Fault(lambda: (classifier(), blobs(y=lambda y: y + 1)), "labels"),
    "several classes at once": Fault(
        lambda: (
            classifier(),
            blobs(y=lambda y: np.float32(np.eye(3)[y] + np.eye(3)[(y + 1) % 3])),
        ),
        "labels",
    ),
    "targets of another shape": Fault(lambda: (regression(), curve(lambda y: y[:, 0])), "labels"),
    "labels −1 and 1 for a sigmoid": Fault(
        lambda: (
            binary(),
            Data({"x": blobs().train["x"], "y": np.where(blobs().train["y"] == 0, 1, -1)[:, None]}),
        ),
        "labels",
    ),
    "yes and no divided by 255": Fault(
        lambda: (
            binary(),
            Data(
                {
                    "x": blobs().train["x"],
                    "y": ((blobs().train["y"] == 0) / 255).astype(np.float32)[:, None],
                }
            ),
        ),
        "labels",
    ),
    "one label for all": Fault(lambda: (classifier(), blobs(y=lambda y: 0 * y)), "labels"),
    "targets in the thousands": Fault(
        lambda: (regression(), curve(lambda y: 1000 * y)), "targets scaled"
    ),
    "targets around a thousand": Fault(
        lambda: (regression(), curve(lambda y: y + 1000)), "targets scaled", slow=True
    ),
    "tiny targets": Fault(
        lambda: (regression(), curve(lambda y: 1e-4 * y)), "targets scaled", slow=True
    ),
}
