"""The gradient check of any function: a loss, a layer, a regularizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxnn.arguments import check_function
from jaxnn.inspect.checks.check import Finding, answer, failed, passed
from jaxnn.inspect.checks.gradient.differences import Compared, compare
from jaxnn.inspect.checks.result import CheckResult
from jaxnn.keys import as_key, stream

__all__ = ["check_gradient", "judged"]


def check_gradient(
    function: Callable[[Any], jax.Array],
    params: Any,
    key: Any,
    *,
    gradient: Callable[[Any], Any] | None = None,
) -> CheckResult:
    r"""Check the gradient of a function against central differences, in float64 on the CPU.

    $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + h e_i) - f(x - h e_i)}{2h}$$

    It is for losses, layers with gradients of their own, and regularizers: `function` is what
    depends on the arrays, such as `lambda x: my_loss(x, labels).sum()`. A few coordinates of each
    array are compared. Kinks, such as that of a ReLU, are told from faults. No setting of JAX
    outlives the call.

    Args:
      function: `params -> scalar`, without randomness.
      params: pytree of arrays; those of integers stay as they are.
      key: typed key, raw key or integer seed, which chooses the coordinates.
      gradient: `params -> gradient`, such as one written by hand; None: that of `jax.grad`.

    Returns:
      The result: failed where a derivative is wrong, with the array's path; "not judged" where
      the function computes in fewer bits on the way or returns something else, with the reason.

    Raises:
      TypeError: `function` or `gradient` is no function, or `key` no key.

    >>> import jax.numpy as jnp
    >>> print(check_gradient(lambda x: jnp.tanh(x).sum(), jnp.ones(3), 0).status)
    passed
    >>> by_hand = lambda x: 1 - jnp.tanh(x)  # and not its square
    >>> found = check_gradient(lambda x: jnp.tanh(x).sum(), jnp.ones(3), 0, gradient=by_hand)
    >>> print(found.status)
    failed

    Source: lectures L (central differences) and M (one-sided).
    """
    check_function("function", function)
    if gradient is not None:
        check_function("gradient", gradient)
    seed = np.asarray(jax.random.key_data(stream(as_key(key), "check gradient")))

    def judge() -> Finding:
        return judged(compare(function, params, np.random.default_rng(seed), gradient))

    source = "lectures L (central differences) and M (one-sided), gradient checking"
    return answer("gradient", source, judge)


def judged(found: Compared) -> Finding:
    """Judge how a gradient compares with differences."""
    worst = max(found.errors, key=lambda name: found.errors[name])
    one_sided = found.one_sided[worst]
    evidence = {
        "relative error": found.errors[worst],
        "one-sided": one_sided,
        "coordinates": found.coordinates,
        "kinks": found.kinks,
        **{f"error of {name}": error for name, error in found.errors.items()},
    }
    wrong = {name: count for name, count in found.wrong.items() if count}
    if wrong:
        place = max(wrong, key=lambda name: found.errors[name])
        named = ", ".join(list(wrong)[:3]) + (f" and {len(wrong) - 3} more" * (len(wrong) > 3))
        return failed(
            f"the gradient is wrong by a factor of up to 1 ± {found.errors[place]:.2g}",
            where=named,
            remedy="look at custom gradients, at stop_gradient, and at the loss",
            **evidence,
        )
    return passed(
        f"relative error at most {found.errors[worst]:.1e} over {found.coordinates} coordinates, "
        f"{found.kinks} of them at kinks; {one_sided:.1e} with one-sided differences",
        **evidence,
    )
