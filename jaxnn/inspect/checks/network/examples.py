"""Whether an example's output and loss depend on that example alone."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.network.calls import difference, mean_loss, outputs_of
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.train.step.objective import inputs_of

__all__ = ["examples_independent", "loss_is_mean"]


@standing("examples independent", "TheDeepChecker: a softmax over the wrong axis; practice")
def examples_independent(subject: Subject) -> Finding:
    """Check that the output of an example does not change when other examples do.

    In training, batch normalization mixes the examples on purpose; this is the evaluation.
    """
    call, inputs = outputs_of(subject), inputs_of(subject.sample)
    n = len(jax.tree.leaves(inputs)[0])
    if n < 2:
        raise NotJudged("there is one example alone")
    half = n // 2
    # The first half stays, the second half is replaced by other real examples.
    order = np.concatenate([np.arange(half), np.arange(n - half) % half])
    outputs = call(subject.state, inputs)
    others = call(subject.state, jax.tree.map(lambda leaf: leaf[order], inputs))
    if any(np.shape(leaf)[:1] != (n,) for leaf in jax.tree.leaves(outputs)):
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(outputs)]
        return failed(
            f"the outputs of {n} examples have shape {shapes[0]}",
            where="the model",
            remedy="the first axis of the outputs must be that of the examples",
        )
    apart = float(difference(outputs, others)[:half].max())
    if apart > thresholds.SAME:
        return failed(
            f"outputs change by {apart:.2g} of their size when other examples of the batch do",
            where="the model",
            remedy="look at axes of softmax, mean, normalization and reshape: axis 0 is the batch",
            change=apart,
        )
    mixes = "batch_stats" in subject.state.model_state if subject.state.model_state else False
    said = "; in training, batch statistics mix the examples, as they should" if mixes else ""
    return passed(f"in evaluation, an output depends on its own example alone{said}", change=apart)


@standing("loss is a mean", "TheDeepChecker: a loss summed instead of averaged")
def loss_is_mean(subject: Subject) -> Finding:
    """Check that a batch in which every example stands twice has the loss of the batch."""
    batch = subject.sample
    n = len(jax.tree.leaves(batch)[0])
    call, half = mean_loss(subject), n // 2
    if half < 2:
        raise NotJudged("there are fewer than four examples")

    def rows(indices: np.ndarray) -> Any:
        return jax.tree.map(lambda leaf: leaf[indices], batch)

    once = float(call(subject.state, rows(np.arange(half))))
    twice = float(call(subject.state, rows(np.tile(np.arange(half), 2))))
    evidence = {"once": once, "twice": twice}
    if not np.isfinite(once):
        raise NotJudged("the loss is not finite, see the initial loss")
    if abs(twice - once) > thresholds.LOSS_CHANGE * max(abs(once), 1e-6):
        where = "the objective" if subject.recipe.loss is None else "the loss"
        return failed(
            f"with every example twice the loss goes from {once:.4g} to {twice:.4g}, so the best "
            "rate depends on the batch size",
            where=where,
            remedy="return one loss for each example, and do not sum over axis 0",
            **evidence,
        )
    return passed("a batch of twice the size has the same loss", **evidence)
