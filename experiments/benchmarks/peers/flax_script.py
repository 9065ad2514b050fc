"""Train on the digits in as few lines of Flax and Optax as possible, to compare start-up with.

    python -m experiments.benchmarks.peers.flax_script convnet

The networks are those of `experiments.digits`, "convnet" and "mlp", with its optimizer
and its measures; augmentation and averaging are left out in both.
"""

import sys
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import optax

FILE = Path(__file__).parents[3] / "jaxnn" / "data" / "digits.npz"


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.Dense(512)(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(10)(x)


class ConvNet(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = x.reshape(-1, 8, 8, 1)
        for features in (32, 64):
            for _ in range(2):
                x = nn.Conv(features, (3, 3))(x)
                x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.Dense(128)(x.reshape(len(x), -1))
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(10)(x)


def measure(params, batch_stats, x, y, key=None):
    train = key is not None
    logits, updated = model.apply(
        {"params": params, "batch_stats": batch_stats},
        x,
        train=train,
        mutable=["batch_stats"],
        rngs={"dropout": key} if train else None,
    )
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
    return loss, (logits.argmax(-1) == y).mean(), updated.get("batch_stats", {})


@jax.jit
def train_step(params, batch_stats, opt_state, x, y, key):
    def objective(params):
        loss, accuracy, updated = measure(params, batch_stats, x, y, key)
        return loss, (updated, loss, accuracy)

    grads, (batch_stats, *values) = jax.grad(objective, has_aux=True)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), batch_stats, opt_state, values


with np.load(FILE) as arrays:
    x, y = arrays["images"].reshape(-1, 64).astype(np.float32), arrays["labels"].astype(np.int32)
rng = np.random.default_rng(0)
order = rng.permutation(len(x))
train, val = order[:1078], order[1078:1438]
x = (x - x[train].mean()) / x[train].std()

model = {"mlp": MLP, "convnet": ConvNet}[sys.argv[1]]()
tx = optax.adamw(1e-3, weight_decay=1e-2, mask=lambda p: jax.tree.map(lambda a: a.ndim > 1, p))
key = jax.random.key(0)
variables = jax.jit(model.init, static_argnames="train")(key, x[:1], train=False)
params, batch_stats = variables["params"], variables.get("batch_stats", {})
opt_state = tx.init(params)
evaluate = jax.jit(measure)
for epoch in range(100):
    order, values = rng.permutation(train), []
    for i in range(0, len(order) - 63, 64):
        rows, key = order[i : i + 64], jax.random.fold_in(key, i)
        params, batch_stats, opt_state, value = train_step(
            params, batch_stats, opt_state, x[rows], y[rows], key
        )
        values.append(value)
    loss, accuracy = np.mean(jax.device_get(values), axis=0)
    val_loss, val_accuracy, _ = evaluate(params, batch_stats, x[val], y[val])
    print(f"epoch {epoch + 1} {loss:.4f} {accuracy:.4f} {val_loss:.4f} {val_accuracy:.4f}")
