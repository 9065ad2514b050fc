"""Different optimizers for groups of parameters, chosen by path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import optax

from jaxnn.optim.rate import following
from jaxnn.tree import Mask, mask_tree

__all__ = ["by_path", "freeze"]


def by_path(
    rules: Sequence[tuple[Mask, optax.GradientTransformation]],
    otherwise: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """Give each group of parameters its own optimizer; the first matching rule wins.

    Args:
      rules: pairs of a mask and an optimizer. A mask is a regular expression on the path, a
        function of path and leaf, or another form that `jaxnn.tree.mask_tree` takes.
      otherwise: the optimizer of all other parameters.

    Returns:
      An Optax transformation. Each optimizer keeps state for its own parameters only.

    Raises:
      ValueError: at `init`, a rule has no parameter, usually because its path is misspelt.

    >>> import jax.numpy as jnp
    >>> from jaxnn.optim import sgd
    >>> tx = by_path([("bias", sgd(1.0))], otherwise=sgd(0.1))
    >>> params = {"kernel": jnp.ones(1), "bias": jnp.ones(1)}
    >>> tx.update(params, tx.init(params), params)[0]
    {'bias': Array([-1.], dtype=float32), 'kernel': Array([-0.1], dtype=float32)}
    """
    rest = len(rules)

    def labels(params: optax.Params) -> Any:
        masks = [mask_tree(mask, params) for mask, _ in rules]
        found = jax.tree.map(lambda _, *flags: (*flags, True).index(True), params, *masks)
        unused = set(range(rest)) - set(jax.tree.leaves(found))
        if unused:
            raise ValueError(
                f"rules must each have a parameter of their own, got none for "
                f"{rules[min(unused)][0]!r}"
            )
        return found

    # An optimizer of Optax's has to follow the controllers' scale as well as one of ours.
    groups = [following(optimizer) for optimizer in (*(tx for _, tx in rules), otherwise)]
    return optax.with_extra_args_support(optax.multi_transform(dict(enumerate(groups)), labels))


def freeze(
    mask: Mask, optimizer: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Keep the masked parameters fixed to the last bit, and train the others.

    No weight decay reaches the fixed parameters, and no state is kept for them.

    Args:
      mask: which parameters stay fixed, see `jaxnn.tree.mask_tree`.
      optimizer: the optimizer of all other parameters.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: at `init`, no parameter matches the mask.

    >>> import jax.numpy as jnp
    >>> from jaxnn.optim import sgd
    >>> tx = freeze("Dense_0", sgd(1.0))
    >>> params = {"Dense_0": jnp.ones(1), "Dense_1": jnp.ones(1)}
    >>> tx.update(params, tx.init(params), params)[0]
    {'Dense_0': Array([0.], dtype=float32), 'Dense_1': Array([-1.], dtype=float32)}
    """
    return by_path([(mask, optax.set_to_zero())], otherwise=optimizer)
