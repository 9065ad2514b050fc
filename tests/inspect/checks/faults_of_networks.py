"""Planted faults of networks, losses and optimizers; see `fault_table`."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import subjects as s
from subjects import Fault, binary, blobs, classifier, curve, regression, yes_no

import jaxnn
from jaxnn.data import Data


def shuffled_labels() -> Data:
    data = blobs()
    order = np.random.default_rng(0).permutation(240)
    return Data({"x": data.train["x"], "y": data.train["y"][order]})


def summed(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The sum over examples, as if it were the loss of one."""
    return jnp.broadcast_to(jnp.sum(jnp.square(outputs - targets)), (len(outputs),))


def ignores_targets(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return jnp.square(outputs).mean(-1) + 0.1


def wrong_loss(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    return s.reversed_slope(jaxnn.losses.softmax_cross_entropy(outputs, labels))


def wrong_penalty(params: Any) -> jax.Array:
    return 1e-3 * sum(jnp.sum(s.square(leaf)) for leaf in jax.tree.leaves(params))


def dead(key: Any, shape: Any, dtype: Any = float) -> jax.Array:
    return jnp.full(shape, -50.0, dtype)


NETWORK = {
    "a softmax over one unit": Fault(
        lambda: (binary(s.Ended(nn.softmax, 1)), yes_no(blobs())), "targets reachable", slow=True
    ),
    "a softmax over one class": Fault(
        lambda: (classifier(jaxnn.nn.MLP((16, 1))), blobs(y=lambda y: 0 * y)), "labels"
    ),
    "a softmax twice": Fault(
        lambda: (classifier(s.Ended(nn.softmax)), blobs()), "targets reachable"
    ),
    "sigmoids before a softmax": Fault(
        lambda: (classifier(s.Ended(nn.sigmoid)), blobs()), "targets reachable", slow=True
    ),
    "softsign before a softmax": Fault(
        lambda: (classifier(s.Ended(nn.soft_sign)), blobs()), "targets reachable", slow=True
    ),
    "a sigmoid twice": Fault(
        lambda: (binary(s.Ended(nn.sigmoid, 1)), yes_no(blobs())), "targets reachable", slow=True
    ),
    "a ReLU before a sigmoid": Fault(
        lambda: (binary(s.Ended(nn.relu, 1)), yes_no(blobs())), "targets reachable", slow=True
    ),
    "a ReLU before negative targets": Fault(
        lambda: (regression(s.Ended(nn.relu, 1)), curve()), "targets reachable", slow=True
    ),
    "tanh before larger targets": Fault(
        lambda: (regression(s.Ended(nn.tanh, 1)), curve(lambda y: 3 * y)),
        "targets reachable",
        slow=True,
    ),
    "logits for log-probabilities": Fault(
        lambda: (classifier(loss=jaxnn.losses.negative_log_likelihood), blobs()),
        "targets reachable",
        slow=True,
    ),
    "a softmax over the batch": Fault(
        lambda: (classifier(s.Ended(partial(nn.softmax, axis=0))), blobs()), "examples independent"
    ),
    "inputs centred by the batch": Fault(
        lambda: (classifier(s.Ended(lambda x: x - x.mean(0, keepdims=True))), blobs()),
        "examples independent",
        slow=True,
    ),
    "weights that are too large": Fault(
        lambda: (classifier(jaxnn.nn.MLP((64, 64, 3), kernel_init=jaxnn.nn.normal(1.0))), blobs()),
        "initial loss",
    ),
    "targets that are too small": Fault(
        lambda: (regression(), curve(lambda y: 1e-3 * y)), "initial loss", slow=True
    ),
    "a penalty that outweighs the loss": Fault(
        lambda: (classifier(regularizer=jaxnn.regularizers.l2(10.0)), blobs()),
        "regularization",
        slow=True,
    ),
    "a penalty of nothing": Fault(
        lambda: (classifier(regularizer=jaxnn.regularizers.l2(1e-3, mask="gamma")), blobs()),
        "regularization",
        slow=True,
    ),
    "dropout in evaluation": Fault(
        lambda: (classifier(s.Dropped(False)), blobs()), "evaluation repeats"
    ),
    "dropout that never acts": Fault(
        lambda: (classifier(s.Dropped(True)), blobs()), "evaluation repeats", "Dropout_0", slow=True
    ),
    "a loss summed over examples": Fault(
        lambda: (classifier(jaxnn.nn.MLP((16, 1)), summed), curve()), "loss is a mean"
    ),
    "gradients that are never applied": Fault(
        lambda: (classifier(optimizer=optax.set_to_zero()), blobs()), "parameters move", "Dense"
    ),
    "a rate too small for float32": Fault(
        lambda: (classifier(optimizer=jaxnn.optim.sgd(1e-12)), blobs()),
        "parameters move",
        "kernel",
        slow=True,
    ),
    "a layer forgotten by the optimizer": Fault(
        lambda: (
            classifier(
                optimizer=jaxnn.optim.by_path(
                    [("Dense_0/bias", optax.set_to_zero())], jaxnn.optim.adam(1e-2)
                )
            ),
            blobs(),
        ),
        "parameters move",
        "Dense_0/bias",
        slow=True,
    ),
    "a stop_gradient": Fault(
        lambda: (classifier(s.Cut()), blobs()), "parameters move", "first", slow=True
    ),
    "a layer without use": Fault(
        lambda: (classifier(s.Unused()), blobs()), "parameters move", "idle", slow=True
    ),
    "weights of 0": Fault(
        lambda: (classifier(jaxnn.nn.MLP((16, 3), kernel_init=jaxnn.nn.zeros())), blobs()),
        "parameters move",
        "Dense_0/kernel",
        slow=True,
    ),
    "weights of one value": Fault(
        lambda: (classifier(jaxnn.nn.MLP((16, 3), kernel_init=jaxnn.nn.constant(0.1))), blobs()),
        "units differ",
        "Dense_0/kernel",
    ),
    "a layer with a wrong gradient": Fault(
        lambda: (classifier(jaxnn.nn.MLP((16, 3), activation=s.doubled)), blobs()),
        "gradient",
        "Dense_0",
    ),
    "a stop_gradient in the gradient check": Fault(
        lambda: (classifier(s.Cut()), blobs()), "gradient", "first", slow=True
    ),
    "a loss with a wrong gradient": Fault(
        lambda: (classifier(loss=wrong_loss), blobs()), "gradient", "Dense", slow=True
    ),
    "a regularizer with a wrong gradient": Fault(
        lambda: (classifier(regularizer=wrong_penalty), blobs()), "gradient", "Dense", slow=True
    ),
    "a gradient of the wrong sign": Fault(
        lambda: (classifier(loss=wrong_loss), blobs()), "loss falls along the gradient", slow=True
    ),
    "running statistics that are never updated": Fault(
        lambda: (classifier(s.Normalized(told=False)), blobs()),
        "running statistics",
        "BatchNorm_0",
        slow=True,
    ),
    "batch statistics in evaluation": Fault(
        lambda: (classifier(s.BatchInEvaluation()), blobs()), "examples independent", slow=True
    ),
    "another network in evaluation": Fault(
        lambda: (classifier(s.OtherInEvaluation()), blobs()), "running statistics", slow=True
    ),
    "a rate that is too high": Fault(
        lambda: (regression(optimizer=jaxnn.optim.sgd(10.0)), curve()),
        "overfit 50 examples",
        "the optimizer",
        slow=True,
    ),
    "a layer of dead units": Fault(
        lambda: (classifier(s.Layers(bias_init=dead)), blobs()),
        "overfit 50 examples",
        "Dense_0",
        slow=True,
    ),
    "saturated units": Fault(
        lambda: (
            classifier(s.Layers(nn.tanh, nn.initializers.normal(100.0), hidden=(16, 16))),
            blobs(),
        ),
        "overfit 50 examples",
        "Dense_0",
        slow=True,
    ),
    "a softmax over the batch cannot overfit": Fault(
        lambda: (classifier(s.Ended(partial(nn.softmax, axis=0), hidden=(16,))), blobs()),
        "overfit 50 examples",
        slow=True,
    ),
    "a network that ignores its inputs": Fault(
        lambda: (classifier(s.Blind()), blobs()), "inputs matter", slow=True
    ),
    "a loss that ignores its labels": Fault(
        lambda: (classifier(loss=ignores_targets), blobs()), "labels matter", slow=True
    ),
    "labels shuffled against the inputs": Fault(
        lambda: (classifier(), shuffled_labels()), "labels fit inputs", "y", slow=True
    ),
}
