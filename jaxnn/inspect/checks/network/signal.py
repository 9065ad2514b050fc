"""Whether inputs and labels matter."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.data.batches import size
from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.inputs.features import features_of
from jaxnn.inspect.checks.network.calls import mean_loss
from jaxnn.inspect.checks.network.overfit import attempt, trained_on
from jaxnn.inspect.checks.subject import NotJudged, Subject

__all__ = ["inputs_matter", "labels_fit_inputs", "labels_matter"]


@standing("inputs matter", "lecture C (Karpathy's recipe): zeroed inputs must do worse")
def inputs_matter(subject: Subject) -> Finding:
    """Check that a network that was trained on examples has a higher loss without their inputs."""
    trained = attempt(subject)
    batch = trained.batch
    x = jax.tree.map(
        lambda leaf: (
            np.zeros_like(leaf)
            if jnp.issubdtype(leaf.dtype, jnp.inexact)
            else np.zeros_like(leaf) + leaf[:1]
        ),
        batch["x"],
    )
    loss = float(mean_loss(subject)(trained.state, {**batch, "x": x}))
    evidence = {"loss": trained.end, "without inputs": loss}
    if not np.isfinite(trained.end):
        raise NotJudged("training left a loss that is not finite, see overfitting")
    if not loss > trained.end * (1 + thresholds.LOSS_CHANGE):
        return failed(
            f"after training the loss is {trained.end:.4g}, and {loss:.4g} without inputs",
            where="the model",
            remedy="look whether the inputs reach the outputs: dead layers, wrong reshapes",
            **evidence,
        )
    return passed(
        f"after training the loss is {trained.end:.4g}, and {loss:.4g} without inputs", **evidence
    )


@standing("labels matter", "lecture C (Karpathy's recipe): shuffled labels must do worse")
def labels_matter(subject: Subject) -> Finding:
    """Check that a network that was trained on examples has a higher loss with shuffled labels."""
    trained = attempt(subject)
    batch = trained.batch
    n = size(batch)
    y = np.asarray(batch["y"])
    order = subject.generator("labels").permutation(n)
    if (y[order] == y).all():
        raise NotJudged(f"the {n} examples have one label")
    loss = float(mean_loss(subject)(trained.state, {**batch, "y": y[order]}))
    evidence = {"loss": trained.end, "shuffled": loss}
    if not np.isfinite(trained.end):
        raise NotJudged("training left a loss that is not finite, see overfitting")
    said = f"after training the loss is {trained.end:.4g}, and {loss:.4g} with shuffled labels"
    if not loss > trained.end * (1 + thresholds.LOSS_CHANGE):
        return failed(
            said,
            where="the loss",
            remedy="look whether the loss uses the labels, and whether the network learns at all",
            **evidence,
        )
    return passed(said, **evidence)


@standing("labels fit inputs", "TheDeepChecker: wrong labels; a permutation test, practice")
def labels_fit_inputs(subject: Subject) -> Finding:
    """Check that the nearest neighbour of an example says something about its label.

    The labels of nearest neighbours agree more often than shuffled ones do, or the labels have
    been shuffled against the inputs. Where neighbours say nothing, as with parities, it is
    decided by the network, trained on half of the examples.
    """
    train = subject.labelled
    x, y = _tables(subject, train)
    n = len(x)
    if n < 3 * thresholds.FAIR:
        raise NotJudged(f"there are {n} examples alone")
    common = int(np.unique(y, axis=0, return_counts=True)[1].max())
    if n - common < thresholds.FAIR:
        raise NotJudged(f"all but {n - common} of {n} examples have one label")
    neighbour = _nearest(x)
    rng = subject.generator("labels fit")
    true = _agreement(y, y[neighbour])
    shuffled = []
    for _ in range(thresholds.PERMUTATIONS):
        other = y[rng.permutation(n)]
        shuffled.append(_agreement(other, other[neighbour]))
    mean, deviation = float(np.mean(shuffled)), max(float(np.std(shuffled)), 1e-9)
    evidence = {"agreement": true, "shuffled": mean, "deviations": (true - mean) / deviation}
    if true > mean + thresholds.CHANCE * deviation:
        return passed(
            f"nearest neighbours agree to {true:.2g}, and to {mean:.2g} with shuffled labels",
            **evidence,
        )
    return _by_network(subject, evidence)


def _by_network(subject: Subject, evidence: dict[str, float]) -> Finding:
    """Train the network on half of the examples, and compare true with shuffled labels of others.

    Only what neighbours say nothing of comes here.
    """
    rows = subject.rows(thresholds.NEIGHBOURS, "labels by network")
    half = size(rows) // 2
    seen, unseen = (
        jax.tree.map(lambda leaf, part=part: leaf[part], rows)
        for part in (slice(half), slice(half, 2 * half))
    )
    state, loss = trained_on(subject, seen), mean_loss(subject)
    rng = subject.generator("labels by network")
    true = float(loss(state, unseen))
    shuffled = [
        float(loss(state, {**unseen, "y": unseen["y"][rng.permutation(half)]}))
        for _ in range(thresholds.PERMUTATIONS)
    ]
    mean, deviation = float(np.mean(shuffled)), max(float(np.std(shuffled)), 1e-9)
    evidence |= {"unseen loss": true, "unseen loss, shuffled": mean}
    if not np.isfinite(true):
        raise NotJudged("neighbours say nothing of the labels, and training does not stay finite")
    if true < mean - thresholds.CHANCE * deviation:
        return passed(
            f"trained on half of the examples, the network has loss {true:.4g} on the others, and "
            f"{mean:.4g} with shuffled labels",
            **evidence,
        )
    return failed(
        "neither nearest neighbours nor the network, trained on half of the examples, say more "
        "of the true labels of others than of shuffled ones",
        where="y",
        remedy="look whether x and y were shuffled together, and at some examples by eye",
        **evidence,
    )


def _tables(subject: Subject, train: Any) -> tuple[np.ndarray, np.ndarray]:
    tables = features_of(subject)
    if any(len(table.values) != size(train) for table in tables):
        raise NotJudged("the inputs are too large for a search of neighbours")
    chosen = subject.generator("neighbours").permutation(size(train))[: thresholds.NEIGHBOURS]
    columns = []
    for table in tables:
        deviation = np.where(table.deviation > 0, table.deviation, 1)
        columns.append((table.values[chosen] - table.mean[None]) / deviation[None])
    y = np.asarray(train["y"])[chosen]
    if jnp.issubdtype(y.dtype, jnp.integer) and y.ndim == 1:
        y = (y[:, None] == np.unique(y)[None]).astype(np.float64)
    y = y.reshape(len(y), -1).astype(np.float64)
    return np.concatenate(columns, 1), (y - y.mean(0)[None]) / max(float(y.std()), 1e-30)


def _nearest(x: np.ndarray) -> np.ndarray:
    """Find the nearest other row of each row."""
    squares = (x**2).sum(1)
    distances = squares[:, None] + squares[None] - 2 * x @ x.T
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(1)


def _agreement(y: np.ndarray, other: np.ndarray) -> float:
    """The correlation of targets with those of the neighbours."""
    return float((y * other).mean())
