"""The tasks: the same networks, first weights and data for every competitor.

The data are synthetic: standard normal inputs, labelled by the largest output of a random linear
map, so that they can be learned. jaxnn draws the weights, and each peer starts from a copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxnn import nn

__all__ = ["CLASSES", "RATE", "TASKS", "Set", "Start", "Task", "Trainer"]

CLASSES = 10
RATE = 1e-3  # of Adam, everywhere


@dataclass(frozen=True)
class Task:
    """Describe a network and its data.

    Attributes:
      name: name of the row.
      shape: shape of an input.
      batch: examples of a step.
      batches: steps of an epoch; each begins with a new shuffle.
      epochs: epochs of one timing.
      hidden: units of the dense layers before the last.
      dropout: probability of dropping a unit behind each of them, or None.
      channels: channels of 3×3 convolutions before the dense layers, each with a ReLU and a 2×2
        max-pool.
      depth: layers of a residual network in place of all these, or None.
      members: networks that jaxnn trains at once, and that its time is divided by.
    """

    name: str
    shape: tuple[int, ...]
    batch: int
    batches: int
    epochs: int
    hidden: tuple[int, ...] = ()
    dropout: float | None = None
    channels: tuple[int, ...] = ()
    depth: int | None = None
    members: int = 1

    @property
    def steps(self) -> int:
        """Count the steps of one timing."""
        return self.batches * self.epochs

    def of_steps(self, steps: int) -> Task:
        """Return the same task with about this many steps in a timing."""
        batches = min(self.batches, steps)
        return replace(self, batches=batches, epochs=steps // batches)

    def model(self) -> Any:
        """Build the network with jaxnn."""
        if self.depth is not None:
            return nn.ResNet(CLASSES, depth=self.depth)
        if self.channels:
            return nn.ConvNet(CLASSES, channels=self.channels, hidden=self.hidden)
        if self.hidden:
            return nn.MLP((*self.hidden, CLASSES), dropout_rate=self.dropout)
        return nn.LogisticRegression(CLASSES)

    def floating_operations(self) -> int:
        """Count a step's operations in matrix products and convolutions, two per multiply-add.

        Forward, and as much again for each of two gradients, of the weights and of the
        inputs; the data need none.
        """
        inputs = jax.ShapeDtypeStruct((self.batch, *self.shape), np.float32)
        found = nn.summary(self.model(), inputs)
        first = next(row.operations for row in found.rows if row.operations)
        return 2 * (3 * found.operations - first)


_DIGITS, _IMAGES = (64,), (784,)
_CONVNET = Task(
    "CNN 28×28",
    (28, 28, 1),
    batch=64,
    batches=16,
    epochs=1,
    hidden=(128,),
    channels=(32, 64),
)
_LINEAR = Task("784-10", _IMAGES, batch=64, batches=96, epochs=20)
_SMALL = Task("64-32-32-10", _DIGITS, batch=32, batches=96, epochs=20, hidden=(32, 32))
_DROPOUT = Task(
    "64-100-100-10, dropout",
    _DIGITS,
    batch=64,
    batches=96,
    epochs=10,
    hidden=(100, 100),
    dropout=0.5,
)


def _members(task: Task, members: int, batches: int) -> Task:
    """Return the row of members of a task."""
    return replace(task, name=f"{task.name}, members", members=members, batches=batches, epochs=1)


TASKS = [
    _LINEAR,
    _SMALL,
    _DROPOUT,
    Task(
        "784-512-512-10, dropout",
        _IMAGES,
        batch=128,
        batches=96,
        epochs=1,
        hidden=(512, 512),
        dropout=0.5,
    ),
    _CONVNET,
    Task("ResNet-20 32×32", (32, 32, 3), batch=64, batches=8, epochs=1, depth=20),
    _members(_LINEAR, 128, 64),
    _members(_SMALL, 128, 96),
    _members(_DROPOUT, 128, 64),
    _members(_CONVNET, 8, 16),
]
"""From the smallest to the largest, single networks first."""


class Set(NamedTuple):
    """Hold the data as NumPy arrays."""

    x: np.ndarray  # (n, *shape) float32
    y: np.ndarray  # (n,) int32

    @staticmethod
    def of(task: Task, seed: int = 0) -> Set:
        """Make the data of a task."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((task.batch * task.batches, *task.shape), np.float32)
        teacher = rng.standard_normal((math.prod(task.shape), CLASSES), np.float32)
        return Set(x, np.argmax(x.reshape(len(x), -1) @ teacher, axis=1).astype(np.int32))


class Start(NamedTuple):
    """Hold the weights that training starts from."""

    variables: Any  # {"params": …, "batch_stats": … where there are any}, as NumPy arrays

    @staticmethod
    def of(task: Task, seed: int = 0) -> Start:
        """Draw the first weights of a task."""
        model, example = task.model(), np.zeros((1, *task.shape), np.float32)
        return Start(jax.device_get(jax.jit(model.init)(jax.random.key(seed), example)))

    def layers(self, kind: str) -> list[dict[str, np.ndarray]]:
        """Return the weights of all layers of a kind, "Conv", "BatchNorm" or "Dense", in order."""
        params = self.variables["params"]
        names = [name for name in params if name.rpartition("_")[0] == kind]
        names.sort(key=lambda name: int(name.rpartition("_")[2]))
        statistics = self.variables.get("batch_stats", {})
        return [{**params[name], **statistics.get(name, {})} for name in names]


class Trainer(Protocol):
    """Train as one competitor; each call goes on from where the last one ended."""

    parameters: int
    """Numbers in all parameters of one network."""

    def __call__(self) -> float:
        """Train for one timing, wait for its end, and return the mean loss over its steps."""
        ...
