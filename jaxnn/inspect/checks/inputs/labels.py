"""Whether the labels are what the loss takes, and each class is there."""

from __future__ import annotations

import numpy as np

from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.subject import NotJudged, Subject
from jaxnn.inspect.checks.task import Task, class_labels, task_of

__all__ = ["class_balance", "labels"]


@standing("labels", "jaxnn.losses: each loss checks its targets")
def labels(subject: Subject) -> Finding:
    """Check that the loss takes the targets of every part, and that they can be told apart."""
    if subject.recipe.loss is None:
        raise NotJudged("the recipe has an objective of its own, whose targets nobody knows")
    if subject.refused_targets:
        return failed(
            subject.refused_targets, remedy="bring the targets to the form that the loss takes"
        )
    y = np.asarray(subject.labelled["y"])
    task, outputs = task_of(subject), subject.outputs
    if task is Task.CLASSES and outputs.shape[-1] == 1:
        return failed(
            "a softmax over one output is always 1",
            where="the last layer",
            remedy="one output for each class, or losses.sigmoid_cross_entropy",
        )
    if y.size and (y == y[:1]).all() and len(y) > 1:
        return failed(
            "all training examples have the same target",
            where="train",
            remedy="look where the targets were lost",
        )
    between = (y > 0) & (y < 1)
    if task is Task.YES_NO and between.any() and y.max() < thresholds.UNSEEN:
        return failed(
            f"the targets lie between 0 and {y.max():.3g}, so none says yes; were they divided "
            "like the inputs?",
            where="train",
            remedy="targets must be 0 or 1, or probabilities of a 1",
            largest=y.max(),
        )
    kinds = ", ".join(f"{name} {np.asarray(p['y']).shape}" for name, p in subject.parts.items())
    return passed(f"{y.dtype} of {kinds}, which the loss takes")


@standing("class balance", "TheDeepChecker; lecture C on data")
def class_balance(subject: Subject) -> Finding:
    """Check that no class is missing or nearly so, and say what the majority's share is.

    An imbalance alone is no fault: it is said, since an accuracy of the majority's share means
    that nothing was learned.
    """
    subject.labelled  # noqa: B018  refuses targets that the loss does not take
    found = class_labels(subject, "train")
    if found is None:
        raise NotJudged("the targets are no classes")
    classes, counts = found
    n, share = counts.sum(), counts.max() / counts.sum()
    fair = n / classes
    rarest = int(np.argmin(counts))
    evidence = {"majority share": share, "rarest class": counts[rarest], "examples": n}
    if fair >= thresholds.FAIR and counts[rarest] < thresholds.RARE * fair:
        return failed(
            f"class {rarest} of {classes} has {counts[rarest]:,} of {n:,} examples",
            where=f"class {rarest}",
            remedy="collect more of it, or leave the class out of the outputs",
            **evidence,
        )
    for name in subject.parts:
        other = class_labels(subject, name)
        missing = np.flatnonzero((counts == 0) & (other[1] > 0)) if other else []
        if len(missing):
            return failed(
                f"class {missing[0]} stands in {name} and not in train",
                where=f"class {missing[0]}",
                remedy="split by class: jaxnn.data.from_arrays(…, stratify=True)",
                **evidence,
            )
    return passed(
        f"{classes} classes; always saying the most common one gives accuracy {share:.3g}",
        **evidence,
    )
