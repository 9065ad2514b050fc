"""Augmentation of text: tokens replaced by their synonyms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_knob
from jaxnn.data.augment.inputs import Augmentation, Knob, inputs_of
from jaxnn.data.inputs.narrowing import narrow
from jaxnn.keys import as_key, stream

__all__ = ["substitute_tokens"]


def substitute_tokens(synonyms: Mapping[int, Sequence[int]], rate: Knob) -> Augmentation:
    """Replace tokens at random by one of their synonyms.

    Each token that has synonyms is replaced with probability `rate`, each of its synonyms being
    as likely as the others. Tokens without synonyms, such as padding, stay.

    Args:
      synonyms: the table: for a token's number, those of its synonyms, all at least 0. It holds
        in one direction: where "big" may become "large" and the reverse, both have an entry.
      rate: the probability of replacing, in [0, 1].

    Returns:
      An augmentation of integers (n, …), such as (n, tokens).

    Raises:
      ValueError: a rate out of range, an empty table or entry, or a number below 0.
      TypeError: numbers that are no integers; inputs that are no integers.

    >>> augmentation = substitute_tokens({3: [7], 4: [8, 9]}, rate=1.0)
    >>> augmentation(jax.random.key(0), jnp.array([[1, 3, 3, 0]]))
    Array([[1, 7, 7, 0]], dtype=int32)

    Source: lecture C, data augmentation.
    """
    check_knob("rate", rate, 0, 1)
    table, counts = _table(synonyms)

    def change(key: Any, x: Any) -> jax.Array:
        if not (hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.integer)) or not x.ndim:
            raise TypeError(
                "x must hold token numbers, integers (n, …), to be substituted, got "
                f"{getattr(x, 'dtype', type(x).__name__)}"
            )
        x, key = jnp.asarray(narrow("x", x)), as_key(key)
        known = (x >= 0) & (x < len(counts))
        row = jnp.where(known, x, 0).astype(jnp.int32)
        choices = jnp.where(known, jnp.asarray(counts)[row], 0)
        # An integer below the count, from a float below 1, whose product may round up to it.
        draw = jax.random.uniform(stream(key, "choice"), x.shape)
        choice = jnp.minimum((draw * choices).astype(jnp.int32), jnp.maximum(choices - 1, 0))
        chosen = jnp.asarray(table)[row, choice].astype(x.dtype)
        replaced = jax.random.uniform(stream(key, "replace"), x.shape) < rate
        return jnp.where(replaced & (choices > 0), chosen, x)

    def augmented(key: Any, batch: Any) -> Any:
        if isinstance(batch, Mapping):
            return {**batch, "x": change(key, inputs_of(batch))}
        return change(key, batch)

    return augmented


def _table(synonyms: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the synonyms as an array (tokens, most), and how many each token has."""
    if not isinstance(synonyms, Mapping) or not synonyms:
        raise ValueError(f"synonyms must map tokens to lists of their synonyms, got {synonyms!r}")
    for token, others in synonyms.items():
        numbers = (token, *others) if isinstance(others, (Sequence, np.ndarray)) else (None,)
        if not all(isinstance(number, (int, np.integer)) for number in numbers):
            raise TypeError(f"synonyms must hold lists of integers, got {others!r} for {token!r}")
        if len(numbers) < 2 or min(numbers) < 0 or max(numbers) >= 2**31:
            raise ValueError(
                f"synonyms must have one number of at least 0 or more for each token, got "
                f"{list(others)} for {token}"
            )
    counts = np.zeros(max(synonyms) + 1, np.int32)
    table = np.zeros((len(counts), max(map(len, synonyms.values()))), np.int32)
    for token, others in synonyms.items():
        counts[token] = len(others)
        table[token, : len(others)] = others
    return table, counts
