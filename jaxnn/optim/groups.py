"""Different optimizers for groups of parameters, chosen by path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.arguments import check_flag
from jaxnn.optim.knobs import check_transformation, transformation
from jaxnn.optim.rate import following
from jaxnn.tree import Mask, mask_tree, path_name

__all__ = ["FrozenState", "by_path", "freeze", "frozen_paths"]


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
      TypeError: `rules` is no sequence of pairs, a mask is None, or an optimizer is no
        transformation.

    >>> import jax.numpy as jnp
    >>> from jaxnn.optim import sgd
    >>> tx = by_path([("bias", sgd(1.0))], otherwise=sgd(0.1))
    >>> params = {"kernel": jnp.ones(1), "bias": jnp.ones(1)}
    >>> tx.update(params, tx.init(params), params)[0]
    {'bias': Array([-1.], dtype=float32), 'kernel': Array([-0.1], dtype=float32)}
    """
    if not isinstance(rules, (list, tuple)) or not all(
        isinstance(rule, (list, tuple)) and len(rule) == 2 for rule in rules
    ):
        raise TypeError(f"rules must be a list of pairs (mask, optimizer), got {rules!r}")
    for mask, tx in rules:
        if mask is None:  # to `mask_tree` it is every parameter, to a reader none
            raise TypeError('mask must say which parameters, such as "all" or "bias", got None')
        check_transformation("the optimizer of a rule", tx)
    check_transformation("otherwise", otherwise)
    rest = len(rules)

    def labels(params: optax.Params) -> Any:
        if not jax.tree.leaves(params):  # nothing to label, as in optax.tree_utils.tree_map_params
            return params
        masks = [mask_tree(mask, params) for mask, _ in rules]
        found = jax.tree.map(lambda _, *flags: (*flags, True).index(True), params, *masks)
        unused = set(range(rest)) - set(jax.tree.leaves(found))
        if unused:
            raise ValueError(
                f"rules must each have a parameter of their own, got none for the mask "
                f"{rules[min(unused)][0]!r}"
            )
        return found

    # An optimizer of Optax's has to follow the controllers' scale as well as one of ours.
    groups = [following(optimizer) for optimizer in (*(tx for _, tx in rules), otherwise)]
    return optax.with_extra_args_support(optax.multi_transform(dict(enumerate(groups)), labels))


class FrozenState(NamedTuple):
    """State of `freeze`, which holds no array: its structure tells what is frozen."""

    layers: Any  # like the parameters: `Frozen` at those that are frozen, and nothing elsewhere


class Frozen(NamedTuple):
    """The place of a frozen parameter in a `FrozenState`."""


def freeze(
    mask: Mask, optimizer: optax.GradientTransformation, *, keep_statistics: bool = True
) -> optax.GradientTransformationExtraArgs:
    """Keep the masked parameters fixed to the last bit, and train the others.

    No weight decay reaches the fixed parameters, and no state is kept for them. In `jaxnn.fit` a
    frozen layer also uses and keeps its running statistics while the others train, as in Keras
    with `trainable=False`: its batch normalization normalizes as in evaluation. A layer is frozen
    if all its parameters are; a layer without parameters, such as a normalization without scale
    and bias, goes with the module around it. This holds for Linen and NNX modules. A model of
    plain functions is not told, and neither is a training loop of your own.

    Args:
      mask: which parameters stay fixed, see `jaxnn.tree.mask_tree`.
      optimizer: the optimizer of all other parameters.
      keep_statistics: whether frozen layers use and keep their running statistics. False
        normalizes by each batch, and lets the statistics follow the data, as Flax and PyTorch do
        for a module in training mode whose parameters have no gradient.

    Returns:
      An Optax transformation.

    Raises:
      TypeError: `mask` is None, or `optimizer` no transformation.
      ValueError: at `init`, no parameter matches the mask.

    >>> import jax.numpy as jnp
    >>> from jaxnn.optim import sgd
    >>> tx = freeze("Dense_0", sgd(1.0))
    >>> params = {"Dense_0": jnp.ones(1), "Dense_1": jnp.ones(1)}
    >>> tx.update(params, tx.init(params), params)[0]
    {'Dense_0': Array([0.], dtype=float32), 'Dense_1': Array([-1.], dtype=float32)}
    """
    check_transformation("optimizer", optimizer)

    def init(params: optax.Params) -> FrozenState:
        return FrozenState(jax.tree.map(lambda _: Frozen(), params))

    def update(
        updates: optax.Updates,
        state: FrozenState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, FrozenState]:
        del params, extra_args
        return jax.tree.map(jnp.zeros_like, updates), state

    if check_flag("keep_statistics", keep_statistics):
        fixed = transformation(init, update)
    else:
        fixed = optax.set_to_zero()
    return by_path([(mask, fixed)], otherwise=optimizer)


def frozen_paths(opt_state: Any) -> frozenset[str]:
    """Return the paths of the parameters whose layers `freeze` keeps, found in any state.

    >>> from jaxnn.optim import sgd
    >>> params = {"Dense_0": jnp.ones(1), "Dense_1": jnp.ones(1)}
    >>> frozen_paths(optax.chain(freeze("Dense_0", sgd(1.0))).init(params))
    frozenset({'Dense_0'})
    """
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, FrozenState))
    return frozenset(
        path_name(path)
        for node in nodes
        if isinstance(node, FrozenState)
        for path, mark in jax.tree_util.tree_leaves_with_path(
            node.layers, is_leaf=lambda mark: isinstance(mark, Frozen)
        )
        if isinstance(mark, Frozen)
    )
