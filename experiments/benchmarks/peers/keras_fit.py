"""Keras 3 on its JAX backend: `compile` and `fit`, with one or several steps per execution."""

from __future__ import annotations

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # Keras reads it once, when imported below

import keras
import numpy as np

from experiments.benchmarks.tasks import CLASSES, RATE, Set, Start, Task, Trainer

__all__ = ["make"]


def network(task: Task) -> Any:
    """Build the task's network."""
    if task.depth is not None:
        return _resnet(task.shape, task.depth)
    layers: list[Any] = [keras.Input(task.shape)]
    for channels in task.channels:
        layers += [
            keras.layers.Conv2D(channels, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
        ]
    if task.channels:
        layers.append(keras.layers.Flatten())
    for width in task.hidden:
        layers.append(keras.layers.Dense(width, activation="relu"))
        if task.dropout is not None:
            layers.append(keras.layers.Dropout(task.dropout))
    return keras.Sequential([*layers, keras.layers.Dense(CLASSES)])


def _resnet(shape: tuple[int, ...], depth: int) -> Any:
    def conv(x: Any, features: int, strides: int = 1) -> Any:
        x = keras.layers.ZeroPadding2D(1)(x)
        x = keras.layers.Conv2D(features, 3, strides=strides, use_bias=False)(x)
        return keras.layers.BatchNormalization(epsilon=1e-5)(x)

    inputs = keras.Input(shape)
    x = keras.ops.relu(conv(inputs, 16))
    for stage, features in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            strides = 2 if stage > 0 and block == 0 else 1
            y = conv(keras.ops.relu(conv(x, features, strides)), features)
            if strides == 2:
                missing = features - x.shape[-1]
                x = keras.ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, missing)))
            x = keras.ops.relu(x + y)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))


def load(model: Any, start: Start) -> None:
    """Start from the task's weights."""
    kinds = {
        keras.layers.Conv2D: ("Conv", ("kernel", "bias")),
        keras.layers.BatchNormalization: ("BatchNorm", ("scale", "bias", "mean", "var")),
        keras.layers.Dense: ("Dense", ("kernel", "bias")),
    }
    for kind, (name, parts) in kinds.items():
        layers = [layer for layer in model.layers if isinstance(layer, kind)]
        for layer, given in zip(layers, start.layers(name), strict=True):
            layer.set_weights([given[part] for part in parts if part in given])


def make(task: Task, data: Set, start: Start, steps_per_execution: int = 1) -> Trainer:
    """Make a trainer."""
    return _Fit(task, data, start, steps_per_execution)


class _Fit:
    def __init__(self, task: Task, data: Set, start: Start, steps_per_execution: int) -> None:
        if keras.backend.backend() != "jax":
            raise RuntimeError(
                f"Keras must run on JAX here, and was imported with {keras.backend.backend()}"
            )
        keras.utils.set_random_seed(0)
        self._model = network(task)
        load(self._model, start)
        self.parameters = sum(int(np.prod(w.shape)) for w in self._model.trainable_weights)
        self._model.compile(
            optimizer=keras.optimizers.Adam(RATE, epsilon=1e-8),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            steps_per_execution=steps_per_execution,
        )
        self._task, self._data = task, data

    def __call__(self) -> float:
        (x, y), task = self._data, self._task
        history = self._model.fit(x, y, batch_size=task.batch, epochs=task.epochs, verbose=0)
        return float(np.mean(history.history["loss"]))
