"""The usual Flax loop: a Python loop over batches from NumPy, which calls one jitted step."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training import train_state

from experiments.benchmarks.tasks import CLASSES, RATE, Set, Start, Task, Trainer

__all__ = ["make"]


class Network(nn.Module):
    """Logistic regression, MLP or convolutional network."""

    task: Task

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        for features in self.task.channels:
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        for width in self.task.hidden:
            x = nn.relu(nn.Dense(width)(x))
            if self.task.dropout is not None:
                x = nn.Dropout(self.task.dropout, deterministic=not train)(x)
        return nn.Dense(CLASSES)(x)


class ResNet(nn.Module):
    """Residual network of 6n + 2 layers, shortcuts without parameters."""

    task: Task

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        assert self.task.depth is not None
        norm = partial(nn.BatchNorm, use_running_average=not train)
        conv = partial(nn.Conv, kernel_size=(3, 3), padding=1, use_bias=False)
        x = nn.relu(norm()(conv(16)(x)))
        for stage, features in enumerate((16, 32, 64)):
            for block in range((self.task.depth - 2) // 6):
                strides = 2 if stage > 0 and block == 0 else 1
                y = nn.relu(norm()(conv(features, strides=strides)(x)))
                y = norm()(conv(features)(y))
                if strides == 2:
                    missing = features - x.shape[-1]
                    x = jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, missing)))
                x = nn.relu(x + y)
        return nn.Dense(CLASSES)(x.mean((1, 2)))


class TrainState(train_state.TrainState):
    """Flax's, with the running statistics and the key of dropout."""

    batch_stats: Any
    key: jax.Array


@jax.jit
def train_step(state: TrainState, x: jax.Array, y: jax.Array) -> tuple[TrainState, jax.Array]:
    """Take one step, and return its loss."""

    def loss_of(params: Any) -> tuple[jax.Array, Any]:
        logits, updated = state.apply_fn(
            {"params": params, "batch_stats": state.batch_stats},
            x,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.fold_in(state.key, state.step)},
        )
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        return loss, updated

    (loss, updated), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    state = state.apply_gradients(grads=grads)
    return state.replace(batch_stats=updated.get("batch_stats", {})), loss


def make(task: Task, data: Set, start: Start) -> Trainer:
    """Make a trainer."""
    return _Loop(task, data, start)


class _Loop:
    def __init__(self, task: Task, data: Set, start: Start) -> None:
        model = Network(task) if task.depth is None else ResNet(task)
        variables = jax.tree.map(jnp.asarray, start.variables)
        self._state = TrainState.create(
            apply_fn=model.apply,
            params=variables["params"],
            tx=optax.adam(RATE),
            batch_stats=variables.get("batch_stats", {}),
            key=jax.random.key(0),
        )
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(self._state.params))
        self._task, self._data, self._rng = task, data, np.random.default_rng(0)

    def __call__(self) -> float:
        (x, y), batch = self._data, self._task.batch
        losses = []
        for _ in range(self._task.epochs):
            order = self._rng.permutation(len(x))
            for i in range(0, len(x), batch):
                rows = order[i : i + batch]
                self._state, loss = train_step(self._state, x[rows], y[rows])
                losses.append(loss)
        jax.block_until_ready(self._state)
        return float(np.mean(jax.device_get(losses)))
