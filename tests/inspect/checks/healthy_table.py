"""The table of healthy recipes and data, which every check must pass or leave unjudged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import subjects as s
from subjects import binary, blobs, classifier, curve, regression, yes_no

import jaxnn
from experiments import digits as experiment
from jaxnn.data import Data
from jaxnn.optim import schedules


def first_program() -> Any:
    recipe = jaxnn.Recipe(
        model=jaxnn.nn.MLP((100, 100, 10), dropout_rate=0.5),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adamw(1e-3, weight_decay=1e-3),
    )
    return recipe, jaxnn.data.digits(key=0)


def of_the_experiment(model: str) -> Any:
    data = jaxnn.data.digits(key=0, preprocess=experiment.one_scale)
    return experiment.make_recipe(experiment.Config(model=model)), data


def of_digits(model: Any, optimizer: Any = None, preprocess: Any = "standardize", **more) -> Any:
    data = jaxnn.data.digits(key=0, preprocess=preprocess)
    return classifier(model, optimizer=optimizer or jaxnn.optim.adam(1e-3), **more), data


def between_0_and_1(x: np.ndarray) -> Any:
    return jaxnn.data.Standardization(np.zeros(x.shape[1:]), np.full(x.shape[1:], 16.0))


def warmed_up() -> Any:
    rate = schedules.join([schedules.linear(0.0, 1e-2, 5), schedules.constant(1e-2)], [5])
    return classifier(optimizer=jaxnn.optim.adam(rate)), blobs()


def frozen() -> Any:
    optimizer = jaxnn.optim.freeze("Dense_0", jaxnn.optim.adam(1e-2))
    return classifier(jaxnn.nn.MLP((64, 64, 3)), optimizer=optimizer), blobs()


def tokens() -> Any:
    class Bag(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return nn.Dense(3)(nn.relu(nn.Dense(32)(nn.Embed(20, 16)(x).mean(1))))

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 200)
    x = np.where(rng.random((200, 12)) < 0.5, y[:, None], rng.integers(3, 20, (200, 12)))
    return classifier(Bag()), Data({"x": x.astype(np.int32), "y": y.astype(np.int32)})


def per_token() -> Any:
    x = np.random.default_rng(0).normal(size=(100, 7, 5)).astype(np.float32)
    y = (x[..., 0] > 0).astype(np.int32) + (x[..., 1] > 0)
    weight = (np.arange(7)[None] < np.arange(100)[:, None] % 7 + 1).astype(np.float32)
    return classifier(jaxnn.nn.MLP((32, 3))), Data({"x": x, "y": y, "weight": weight})


def nnx_model() -> Any:
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.first = nnx.Linear(6, 16, rngs=rngs)
            self.norm = nnx.BatchNorm(16, momentum=0.9, rngs=rngs)
            self.drop = nnx.Dropout(0.2, rngs=rngs)
            self.last = nnx.Linear(16, 3, rngs=rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.last(self.drop(nnx.relu(self.norm(self.first(x)))))

    return classifier(jaxnn.nn.from_nnx(lambda rngs: Net(rngs))), blobs()


def pair() -> Any:
    def init(key: Any, x: Any) -> Any:
        one, two = jax.random.split(key)
        return {
            "w": jax.random.normal(one, (x.shape[-1], 16)) / 2,
            "v": jax.random.normal(two, (16, 3)) / 4,
        }

    return classifier((init, lambda params, x: jnp.tanh(x @ params["w"]) @ params["v"])), blobs()


def with_objective() -> Any:
    def objective(apply: Any, params: Any, model_state: Any, batch: Any, keys: Any) -> Any:
        outputs, model_state = apply(params, model_state, batch["x"], keys)
        losses = jnp.square(outputs - batch["x"]).mean(-1)
        return (losses.sum(), jnp.asarray(len(losses), float)), model_state, {}

    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((16, 3, 16, s.FEATURES), activation="tanh"),
        optimizer=jaxnn.optim.adam(1e-2),
        objective=objective,
    )
    return recipe, {"x": blobs().train["x"]}


def imbalanced() -> Any:
    rng = np.random.default_rng(0)
    y = np.zeros((1810, 1), np.float32)
    y[::181] = 1
    x = (rng.normal(size=(1810, 4)) + 2 * y).astype(np.float32)
    return binary(), Data({"x": x, "y": y})


def game() -> Any:
    """The four corners of a square: inputs of few values, which repeat by nature."""
    x = np.random.default_rng(0).integers(0, 2, (200, 2)).astype(np.float32) * 2 - 1
    y = (x[:, :1] * x[:, 1:] > 0).astype(np.float32)
    return binary(), Data({"x": x[:150], "y": y[:150]}, {"x": x[150:], "y": y[150:]})


def of_sklearn(name: str) -> Any:
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    if name == "diabetes":
        data = jaxnn.data.from_arrays(
            x, y[:, None], key=0, preprocess="standardize", preprocess_y="standardize"
        )
        return regression(), data
    data = jaxnn.data.from_arrays(x, y, key=0, stratify=True, preprocess="standardize")
    return classifier(jaxnn.nn.MLP((32, len(np.unique(y))))), data


def of_frozen_flax() -> Any:
    """Flax's own layers, and Optax's own optimizer."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
            x = x.reshape(-1, 8, 8, 1)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(8, (3, 3))(x)))
            x = nn.max_pool(x, (2, 2), (2, 2)).reshape(len(x), -1)
            x = nn.Dropout(0.3, deterministic=not train)(nn.relu(nn.Dense(32)(x)))
            return nn.Dense(10)(x)

    return of_digits(Net(), optax.sgd(0.05, momentum=0.9, nesterov=True))


MLP, ConvNet = jaxnn.nn.MLP, jaxnn.nn.ConvNet
IMAGE = (8, 8, 1)

QUICK: dict[str, Callable[[], Any]] = {
    "blobs": lambda: (classifier(), blobs()),
}

SLOW: dict[str, Callable[[], Any]] = {
    "a regression": lambda: (regression(), curve()),
    "the README's first program": first_program,
    "experiments.digits": partial(of_the_experiment, "convnet"),
    "experiments.digits, MLP": partial(of_the_experiment, "mlp"),
    "pixels in [0, 1]": lambda: of_digits(MLP((64, 10)), preprocess=between_0_and_1),
    "batch normalization": lambda: of_digits(MLP((50, 50, 10), normalization="batch")),
    "layer normalization, tanh": lambda: of_digits(
        MLP((50, 50, 10), normalization="layer", activation="tanh")
    ),
    "a deep SELU network": lambda: of_digits(MLP((50,) * 8 + (10,), activation="selu")),
    "a deep ReLU network": lambda: of_digits(MLP((50,) * 6 + (10,))),
    "sigmoid units": lambda: of_digits(
        MLP((64, 10), activation="sigmoid"), jaxnn.optim.sgd(0.5, momentum=0.9)
    ),
    "maxout": lambda: of_digits(MLP((32, 10), activation="maxout")),
    "a network without normalization": lambda: of_digits(
        ConvNet(10, channels=(16, 16), hidden=(32,), image_shape=IMAGE)
    ),
    "group normalization": lambda: of_digits(
        ConvNet(10, channels=(16, 16), normalization="group", image_shape=IMAGE)
    ),
    "logistic regression from 0": lambda: of_digits(
        jaxnn.nn.LogisticRegression(10, kernel_init=jaxnn.nn.zeros()), jaxnn.optim.sgd(0.1)
    ),
    "smoothing, L2 and clipping": lambda: of_digits(
        MLP((100, 10)),
        optax.chain(jaxnn.optim.clip_by_global_norm(1.0), jaxnn.optim.sgd(0.1, momentum=0.9)),
        loss=partial(jaxnn.losses.softmax_cross_entropy, label_smoothing=0.1),
        regularizer=jaxnn.regularizers.l2(1e-4),
    ),
    "a true Nesterov lookahead": lambda: (
        classifier(optimizer=jaxnn.optim.nesterov(0.1, 0.9, form="lookahead")),
        blobs(),
    ),
    "bfloat16": lambda: of_digits(MLP((64, 10)), compute_dtype=jnp.bfloat16),
    "an average, and early stopping": lambda: (
        classifier(
            average=jaxnn.optim.parameter_average(0.99),
            controllers=(jaxnn.train.early_stopping(patience=5),),
            skip_nonfinite=10,
        ),
        blobs(),
    ),
    "a small rate": lambda: of_digits(MLP((64, 10)), jaxnn.optim.adam(1e-5)),
    "a warm-up from 0": warmed_up,
    "a frozen layer": frozen,
    "tokens": tokens,
    "a loss per token, padded": per_token,
    "an NNX module": nnx_model,
    "a pair of functions": pair,
    "an objective of one's own": with_objective,
    "yes or no": lambda: (binary(), yes_no(blobs())),
    "1 yes in 181": imbalanced,
    "four corners": game,
    "a hinge": lambda: (
        binary(loss=jaxnn.losses.hinge),
        Data({"x": blobs().train["x"], "y": np.where(blobs().train["y"] == 0, 1, -1)[:, None]}),
    ),
    "log-probabilities": lambda: (
        classifier(s.Ended(nn.log_softmax), jaxnn.losses.negative_log_likelihood),
        blobs(),
    ),
    "Huber's loss": lambda: (
        classifier(MLP((32, 32, 1)), jaxnn.losses.huber),
        curve(),
    ),
    "a loss of one's own": lambda: (
        classifier(loss=lambda z, y: jaxnn.losses.softmax_cross_entropy(z, y)),
        blobs(),
    ),
    "a streamed regression": lambda: (regression(), jaxnn.data.stream(curve().train)),
    "tanh for targets in [−1, 1]": lambda: (
        regression(s.Ended(nn.tanh, 1, (32, 32))),
        curve(lambda y: np.tanh(y)),
    ),
    "layers of Flax": of_frozen_flax,
    "iris": partial(of_sklearn, "iris"),
    "wine": partial(of_sklearn, "wine"),
    "breast cancer": partial(of_sklearn, "breast_cancer"),
    "diabetes": partial(of_sklearn, "diabetes"),
}
