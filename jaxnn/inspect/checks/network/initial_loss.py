"""Whether the first loss is that of a network that knows nothing yet."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.compiled import compiled
from jaxnn.inspect.checks.network.calls import loss_of, mean_loss
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.inspect.checks.task import Task, class_labels, task_of

__all__ = ["expected_loss", "initial_loss", "regularization"]

_CLASSIFIES = (Task.CLASSES, Task.LOG_CLASSES, Task.YES_NO, Task.SIGNS)


@standing("initial loss", "lecture S, step 1: check initial loss, weight decay off")
def initial_loss(subject: Subject) -> Finding:
    r"""Check the loss of the first weights, without regularization and dropout.

    A network that knows nothing says 0, or equal log-probabilities. It then has the loss log C
    of a softmax over C classes, log 2 of a sigmoid, and the mean square of targets. Without
    looking at the inputs one can do no better than the entropy of the class shares, or the
    variance of the targets, so a first loss far below that is suspicious too.
    """
    subject.labelled  # noqa: B018  refuses what has no targets
    task = task_of(subject)
    if task is Task.UNKNOWN:
        raise NotJudged("the loss is none of jaxnn.losses, so its expectation is not known")
    batch = subject.sample
    loss = float(mean_loss(subject)(subject.state, batch))
    expected, least = expected_loss(subject, batch)
    evidence: dict[str, Any] = {"loss": loss, "expected": expected, "without inputs": least}
    said = _expectation(subject, task, expected)
    if not np.isfinite(loss):
        return failed(
            f"{loss} where {said} was expected",
            remedy="look for a logarithm, a root or a division of 0, or for too large weights",
            **evidence,
        )
    classifies = task in _CLASSIFIES
    limit = expected + thresholds.ABOVE if classifies else thresholds.VARIANCES * expected
    if loss > limit:
        return failed(
            f"{loss:.4g} where {said} was expected: the first weights or the inputs are too "
            "large, or the targets too small",
            where="the initial weights",
            remedy="standardize the inputs, and leave kernel_init to the model",
            **evidence,
        )
    if loss < thresholds.BELOW * least:
        return failed(
            f"{loss:.4g} where {said} was expected: the network knows the targets before it was "
            "trained",
            remedy="look for targets among the inputs, one output too few, or old weights",
            **evidence,
        )
    return passed(f"{loss:.4g} where {said} was expected", **evidence)


def expected_loss(subject: Subject, batch: dict) -> tuple[float, float]:
    """Compute the loss of a network that says nothing, and the least loss without inputs.

    Both come from the recipe's own loss, so that its settings, such as class weights, count.

    Returns:
      The loss of outputs of 0 (or of equal log-probabilities), and the loss of the constant
      outputs that suit the shares or the mean of the targets.
    """
    task, shape = task_of(subject), (len(batch["y"]), *subject.outputs.shape[1:])
    y = np.asarray(batch["y"], np.float64)
    if task is Task.NUMBERS:
        mean = np.broadcast_to(y.mean(0, keepdims=True), shape)
        centred = loss_of(subject, jnp.asarray(mean, float), batch)
        return max(loss_of(subject, jnp.zeros(shape), batch), centred), centred
    zeros = np.zeros(shape, np.float32)
    if task is Task.LOG_CLASSES:
        zeros -= np.log(shape[-1]).astype(np.float32)
    expected = loss_of(subject, jnp.asarray(zeros), batch)
    found = class_labels(subject, "train")
    if found is None or task is Task.SIGNS or len(shape) != 2:
        return expected, expected
    shares = np.maximum(found[1], 1e-3) / found[1].sum()
    if task is Task.YES_NO:
        prior = np.full(shape, np.log(shares[1] / shares[0]), np.float32)
    else:
        prior = np.broadcast_to(np.log(shares).astype(np.float32), shape)
    return expected, min(expected, loss_of(subject, jnp.asarray(prior), batch))


def _expectation(subject: Subject, task: Task, expected: float) -> str:
    if task in (Task.CLASSES, Task.LOG_CLASSES):
        found = class_labels(subject, "train")
        classes = found[0] if found else 0
        if abs(expected - np.log(max(classes, 1))) < 1e-3:
            return f"log {classes} = {expected:.4g}"
    if task is Task.YES_NO and abs(expected - np.log(2)) < 1e-3:
        return f"log 2 = {expected:.4g}"
    return f"{expected:.4g}"


@standing("regularization", "lecture S, step 1: the loss rises with regularization on")
def regularization(subject: Subject) -> Finding:
    """Check that the regularizer adds to the loss, and does not outweigh it."""
    recipe = subject.recipe
    if recipe.regularizer is None:
        return passed("the recipe has none")
    penalty = float(compiled(recipe.regularizer)(subject.state.params))
    loss = float(mean_loss(subject)(subject.state, subject.sample))
    evidence = {"penalty": penalty, "loss": loss}
    if not penalty > 0:
        return failed(
            f"the regularizer adds {penalty:.4g} to the loss",
            remedy="its strength or its mask leaves nothing to penalize",
            where="the regularizer",
            **evidence,
        )
    if penalty > thresholds.PENALTY * abs(loss):
        return failed(
            f"the penalty {penalty:.4g} outweighs the loss {loss:.4g}",
            remedy="lower its strength",
            where="the regularizer",
            **evidence,
        )
    return passed(f"the loss rises from {loss:.4g} to {loss + penalty:.4g}", **evidence)
