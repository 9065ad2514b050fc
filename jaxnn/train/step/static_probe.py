"""A probe as a static argument of compiled functions: told apart by value, arrays included."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.arguments import check_function, check_positive_int, check_sequence
from jaxnn.nn.taps import Tap
from jaxnn.train.step.state import TrainState
from jaxnn.train.step.trace import ObjectiveProbe, Probe, StepTrace, TapProbe, every_of
from jaxnn.train.step.view import View

__all__ = ["Average", "StaticProbe", "as_static"]


class StaticProbe:
    """A probe that hashes and compares by its type and its values.

    JAX finds compiled functions by their static arguments. A frozen dataclass that holds an array
    does not hash, so this wrapper hashes the bytes of its arrays instead.
    """

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self._key = _key(probe, type(probe).__name__)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StaticProbe) and self._key == other._key

    @property
    def needs(self) -> Collection[str]:
        """See `Probe`; so for the methods."""
        return self.probe.needs

    @property
    def every(self) -> int:
        return every_of(self.probe)

    def init(self, state: TrainState, shapes: StepTrace) -> Any:
        return self.probe.init(state, shapes)

    def update(self, memory: Any, trace: StepTrace) -> Any:
        return self.probe.update(memory, trace)

    def summarize(self, memory: Any) -> Mapping[str, jax.Array]:
        return self.probe.summarize(memory)

    def reduce(self, tap: Tap) -> Any:
        assert isinstance(self.probe, TapProbe)  # it needs taps
        return self.probe.reduce(tap)

    def measure(self, view: View) -> Any:
        assert isinstance(self.probe, ObjectiveProbe)  # it needs what it measures
        return self.probe.measure(view)


_READABLE = ("params", "grads", "updates", "loss")


class AverageMemory(NamedTuple):
    """Memory of `Average`."""

    steps: jax.Array  # () int32
    totals: dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Average:
    r"""A function of a step as a probe: the mean of its values over the steps of an epoch.

    $$\bar v = \frac{1}{T} \sum_{t=1}^{T} f(\mathrm{trace}_t)$$

    `fit(probes=[function])` is short for `fit(probes=[Average(function)])`.

    Attributes:
      function: `trace -> {name: value}`, of scalars or arrays; see `jaxnn.train.StepTrace`.
      needs: what it reads of the trace, among "params", "grads", "updates" and "loss". What no
        probe needs is not kept.
      every: steps from one that is measured to the next.

    >>> import jaxnn
    >>> recipe = jaxnn.Recipe(
    ...     jaxnn.nn.MLP((10,)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)
    ... )
    >>> def largest(trace):
    ...     return {"largest": jnp.abs(trace.grads["Dense_0"]["kernel"]).max()}
    >>> probe = jaxnn.inspect.Average(largest, needs=("grads",), every=5)
    >>> data = jaxnn.data.digits(key=0)
    >>> run = jaxnn.fit(recipe, data, epochs=1, batch_size=64, key=1, probes=[probe])
    >>> run.history.epochs[-1].values["largest"] > 0
    True
    """

    function: Callable[[StepTrace], Mapping[str, Any]]
    needs: tuple[str, ...] = ("params", "grads", "updates", "loss")
    every: int = 1

    def __post_init__(self) -> None:
        check_function("function", self.function)
        needs = check_sequence("needs", self.needs)
        if not needs or not all(isinstance(name, str) and name in _READABLE for name in needs):
            raise ValueError(f"needs must be names among {_READABLE}, got {self.needs!r}")
        check_positive_int("every", self.every)

    def init(self, state: TrainState, shapes: StepTrace) -> AverageMemory:
        del state
        values = jax.eval_shape(self._values, shapes)
        totals = {name: jnp.zeros(value.shape, value.dtype) for name, value in values.items()}
        return AverageMemory(jnp.zeros((), jnp.int32), totals)

    def update(self, memory: AverageMemory, trace: StepTrace) -> AverageMemory:
        totals = jax.tree.map(jnp.add, memory.totals, self._values(trace))
        return AverageMemory(memory.steps + 1, totals)

    def summarize(self, memory: AverageMemory) -> dict[str, jax.Array]:
        return {name: total / memory.steps for name, total in memory.totals.items()}

    def _values(self, trace: StepTrace) -> dict[str, jax.Array]:
        return {name: jnp.asarray(v, float) for name, v in self.function(trace).items()}


def as_static(probe: Any) -> StaticProbe:
    """A user's probe as one that compiled functions are found by.

    Args:
      probe: a `Probe`, or a function `trace -> {name: value}`, whose values are averaged over
        the steps of an epoch; it sees all of the trace but taps.

    Raises:
      TypeError: neither of them, or a probe with a field that cannot be compared.
      ValueError: needs that are no parts of a trace.

    >>> from jaxnn.inspect import GradientNorm
    >>> as_static(GradientNorm()) == as_static(GradientNorm())
    True
    """
    if isinstance(probe, type):
        raise TypeError(f"probes must be objects, {probe.__name__}(…), got the class")
    if not isinstance(probe, Probe):
        if not callable(probe):
            raise TypeError(
                "probes must have needs, init, update and summarize (jaxnn.train.Probe), or be "
                f"functions of a trace, got {probe!r}"
            )
        function: Any = probe
        probe = Average(function)
    needs = probe.needs
    if isinstance(needs, str) or not set(needs) <= set(StepTrace._fields):
        raise ValueError(
            f"needs of a probe must be names among {StepTrace._fields}, got {needs!r} of {probe!r}"
        )
    for need, method in (("taps", "reduce"), ("measured", "measure")):
        if need in needs and not callable(getattr(probe, method, None)):
            raise TypeError(
                f"a probe that needs {need} must have the method {method}, got {probe!r}"
            )
    check_positive_int(f"every of the probe {type(probe).__name__}", every_of(probe))
    return StaticProbe(probe)


def _key(value: Any, name: str) -> Hashable:
    """A hashable value, equal for equal values.

    Args:
      value: an array, a container, a dataclass, or anything that hashes.
      name: of the value, for errors.
    """
    if isinstance(value, (np.ndarray, jax.Array)):
        array = np.asarray(value)
        return "array", array.shape, array.dtype.str, array.tobytes()
    try:
        hash(value)
    except TypeError:
        return _key_of_parts(value, name)
    return value


def _key_of_parts(value: Any, name: str) -> Hashable:
    if dataclasses.is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, Mapping):
        parts = dict(value)
    elif isinstance(value, (list, tuple)):
        parts = dict(enumerate(value))
    else:
        raise TypeError(
            f"a probe must hash, or be a dataclass of values that do and of arrays, got {value!r} "
            f"at {name}"
        )
    keys = ((part, _key(below, f"{name}.{part}")) for part, below in parts.items())
    return type(value), tuple(keys)
