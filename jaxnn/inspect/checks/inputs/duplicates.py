"""Whether examples stand in the data twice, within a part or in two of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxnn.data.batches import size
from jaxnn.inspect.checks import thresholds
from jaxnn.inspect.checks.check import Finding, failed, passed, standing
from jaxnn.inspect.checks.inputs.features import whole_inputs
from jaxnn.inspect.checks.subject import NotJudged, Subject

__all__ = ["overlap", "repeated_examples", "repeats_by_chance"]


@standing("repeated examples", "common practice; no lecture teaches it")
def repeated_examples(subject: Subject) -> Finding:
    """Check that training examples are no copies of others, least of all with other targets.

    Inputs of few distinct values are repeated by chance, and are not judged.
    """
    train = subject.train
    codes = _codes(train)
    n, distinct = len(codes), len(np.unique(codes))
    evidence = {"repeated": n - distinct, "examples": n, "by chance": repeats_by_chance(subject)}
    if n == distinct:
        return passed("no example stands in train twice", **evidence)
    _refuse_few_values(subject)
    if isinstance(train, Mapping) and "y" in train:
        pairs = np.stack([codes, _code_rows([np.asarray(train["y"])])], 1)
        evidence["contradicting"] = len(np.unique(pairs, axis=0)) - distinct
        if evidence["contradicting"] > thresholds.CONTRADICTED * n:
            return failed(
                f"{evidence['contradicting']} of {n} examples repeat others with another target",
                remedy="look up their true targets, or drop them",
                where="train",
                **evidence,
            )
    if n - distinct > thresholds.REPEATED * n:
        return failed(
            f"{n - distinct} of {n} examples repeat others",
            remedy="drop the copies; a weight does better where some shall count more",
            where="train",
            **evidence,
        )
    return passed(f"{n - distinct} of {n} examples repeat others", **evidence)


@standing("parts overlap", "lecture L: validation and test examples are not trained on")
def overlap(subject: Subject) -> Finding:
    """Check that validation and test examples do not stand in the training part."""
    codes = _codes(subject.train)
    others = [name for name in subject.parts if name != "train"]
    if not others:
        raise NotJudged("there is no validation and no test part")
    copied = {name: int(np.isin(_codes(subject.parts[name]), codes).sum()) for name in others}
    for name, count in copied.items():
        n = size(subject.parts[name])
        if count > thresholds.COPIED * n:
            _refuse_few_values(subject)
            return failed(
                f"{count} of {n} examples of {name} stand in train too",
                where=name,
                remedy="split again, so that copies of an example stay in one part",
                copied=count,
                examples=n,
            )
    listing = " and ".join(f"{count} of {name}" for name, count in copied.items())
    return passed(f"{listing} stand in train too", **copied)


def _refuse_few_values(subject: Subject) -> None:
    chance = repeats_by_chance(subject)
    if chance > thresholds.BY_CHANCE:
        raise NotJudged(
            f"the inputs have so few distinct values that {min(chance, 1):.0%} of the examples "
            "would be repeated by chance"
        )


def repeats_by_chance(subject: Subject) -> float:
    r"""Estimate the share of examples that equal another one if features are independent.

    $$(n - 1) \prod_j \sum_v \frac{c_{jv} (c_{jv} - 1)}{n (n - 1)}$$

    Here $c_{jv}$ counts the examples whose feature j has the value v.
    """
    leaves = [leaf for _, leaf in whole_inputs(subject.train)]
    n, chance = len(leaves[0]), 1.0
    for leaf in leaves:
        for column in leaf.reshape(n, -1).T:
            counts = np.unique(column, return_counts=True)[1].astype(float)
            chance *= float((counts * (counts - 1)).sum()) / max(n * (n - 1), 1)
            if chance < 1e-12:
                return 0.0
    return (n - 1) * chance


def _codes(batch: Any) -> np.ndarray:
    return _code_rows([leaf for _, leaf in whole_inputs(batch)])


def _code_rows(leaves: list[np.ndarray]) -> np.ndarray:
    """Code rows by 64 bits, so that equal rows have equal codes, and others have not."""
    n = len(leaves[0])
    codes = np.zeros(n, np.uint64)
    rng = np.random.default_rng(0)
    for leaf in leaves:
        # −0.0 equals 0.0, but has other bytes.
        rows = np.ascontiguousarray((leaf + leaf.dtype.type(0)).reshape(n, -1)).view(np.uint8)
        factors = rng.integers(1, 2**63, rows.shape[1], dtype=np.uint64) | np.uint64(1)
        for start in range(0, n, 1024):  # the products of all rows would need 8 times the memory
            block = rows[start : start + 1024].astype(np.uint64)
            codes[start : start + 1024] += (block * factors[None]).sum(1, dtype=np.uint64)
    return codes
