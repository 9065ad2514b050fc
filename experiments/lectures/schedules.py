"""Draw every schedule of jaxnn.optim.schedules.

    python -m experiments.lectures.schedules

Cost: 4 to 8 seconds on two cores of an x86 server, the upper end with other work beside it.
Expected: a page with a picture of each schedule over 100 steps, the call that made it above
the picture. Where a schedule has an end, a second line shows how it goes on with clamp=False.

Source: lectures C, L, M and N, "decaying the learning rate"; practices S1 to S5, S10, S11.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from experiments.options import check_file, check_numbers
from experiments.program import run
from jaxnn.optim import schedules
from jaxnn.report import write_album
from jaxnn.report.style import COLOURS, INK, plain_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Call:
    """Hold a call of a schedule's factory, to make the call and to print it."""

    name: str
    arguments: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()

    def make(self) -> Callable[[Any], Any]:
        made = [_made(value) for value in self.arguments]
        named = {name: _made(value) for name, value in self.named}
        return getattr(schedules, self.name)(*made, **named)

    def __str__(self) -> str:
        parts = [_text(value) for value in self.arguments]
        parts += [f"{name}={_text(value)}" for name, value in self.named]
        return f"{self.name}({', '.join(parts)})"


def call(name: str, *arguments: Any, **named: Any) -> Call:
    """`call("step", 1.0, every=5)` is the call `schedules.step(1.0, every=5)`."""
    return Call(name, arguments, tuple(named.items()))


def _made(value: Any) -> Any:
    if isinstance(value, Call):
        return value.make()
    return [_made(item) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


Picture = tuple[Call, ...]
"""What is drawn in one picture: the first as a solid line, others broken."""

GROUPS: tuple[tuple[str, str, tuple[Picture, ...]], ...] = (
    (
        "Constant, and in steps",
        "Lecture N halves the rate every few epochs. At a boundary the next value holds already, "
        'as in Optax and PyTorch; with boundary_belongs_to="last" that step still has the old '
        "one, as in Keras. staircase=True makes steps of a smooth fall.",
        (
            (call("constant", 0.6),),
            (call("step", 1.0, every=20, factor=0.5),),
            (
                call("piecewise_constant", [40, 70], [1.0, 0.5, 0.1]),
                call("piecewise_constant", [40, 70], [1.0, 0.5, 0.1], boundary_belongs_to="last"),
            ),
            (
                call("exponential", 1.0, decay_rate=0.7, transition_steps=10, staircase=True),
                call("inverse_time", 1.0, decay_rate=1.0, transition_steps=10, staircase=True),
            ),
        ),
    ),
    (
        "Falling without an end",
        "exponential and natural_exponential are one curve in two notations. 1/t decay, which is "
        "Keras' old decay, and power decay fall fast first and slowly later.",
        (
            (
                call("exponential", 1.0, decay_rate=0.1, transition_steps=60),
                call("exponential", 1.0, decay_rate=0.1, transition_steps=60, end_value=0.2),
            ),
            (
                call("natural_exponential", 1.0, k=0.02),
                call("natural_exponential", 1.0, k=0.08),
            ),
            (
                call("inverse_time", 1.0, decay_rate=0.02),
                call("inverse_time", 1.0, decay_rate=0.2),
            ),
            (
                call("power", 1.0, transition_steps=10, power=0.5),
                call("power", 1.0, transition_steps=10, power=2.0),
            ),
        ),
    ),
    (
        "From one value to another",
        "clamp=True stays at the end, as Optax and Keras do. clamp=False goes on by the formula, "
        "as PyTorch does: a line falls below 0, a cosine rises again.",
        (
            (
                call("linear", 1.0, 0.1, 60),
                call("linear", 1.0, 0.1, 60, clamp=False),
            ),
            (
                call("polynomial", 1.0, 0.1, 2.0, 50, 10),
                call("polynomial", 1.0, 0.1, 2.0, 50, 10, clamp=False),
            ),
            (
                call("cosine", 1.0, 60, alpha=0.1),
                call("cosine", 1.0, 60, alpha=0.1, clamp=False),
            ),
            (
                call("one_cycle", 1.0, 60),
                call("one_cycle", 1.0, 60, clamp=False),
            ),
        ),
    ),
    (
        "Repeated, and made of others",
        "warmup rises to where a schedule starts. join plays one after the other, each from its "
        "own beginning. in_epochs makes a schedule of epochs one of steps; here 10 steps are an "
        "epoch.",
        (
            (
                call("cosine_restarts", 1.0, 15),
                call("cosine_restarts", 1.0, 25, t_mul=1.0, m_mul=0.7),
            ),
            (
                call("cyclic", 0.1, 1.0, 15),
                call("cyclic", 0.1, 1.0, 10, 20, mode="triangular2"),
            ),
            (call("warmup", call("cosine", 1.0, 80), 20),),
            (
                call(
                    "join",
                    [
                        call("linear", 0.2, 1.0, 20),
                        call("constant", 1.0),
                        call("power", 1.0, transition_steps=10),
                    ],
                    [20, 50],
                ),
            ),
            (
                call("in_epochs", call("step", 1.0, every=2), steps_per_epoch=10),
                call("in_epochs", call("natural_exponential", 1.0, k=0.35), steps_per_epoch=10),
            ),
        ),
    ),
)


@dataclass(frozen=True)
class Config:
    """Draw every schedule of jaxnn.optim.schedules."""

    steps: int = 100
    """How many steps are drawn, at least 1."""
    page: Path = Path("runs/lectures/schedules.html")
    """HTML file in which the pictures are written."""


def main(config: Config) -> dict[str, np.ndarray]:
    """Draw all schedules, and return their values at steps 0 to `steps` by the text of the call."""
    check_numbers(config, "steps")
    check_file("page", config.page)
    count = jnp.arange(config.steps + 1)
    values = {
        str(one): np.asarray(one.make()(count))
        for _, _, pictures in GROUPS
        for picture in pictures
        for one in picture
    }
    sections = [
        (title, text, [_draw([str(one) for one in picture], values) for picture in pictures])
        for title, text, pictures in GROUPS
    ]
    path = write_album(config.page, "Schedules", sections)
    print(f"{len(values)} schedules of {config.steps} steps")
    print(f"page  {path}")
    return values


def _draw(names: Sequence[str], values: dict[str, np.ndarray]) -> Figure:
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(figsize=(5.0, 3.1), layout="constrained", label=names[0])
        axes = figure.add_subplot(xlabel="step")
        lines = zip(names, (COLOURS["train"], COLOURS["val"]), ("-", (0, (4, 2))), strict=False)
        for name, colour, dashes in lines:
            changes = np.count_nonzero(np.diff(values[name]))
            axes.plot(
                values[name],
                # What rarely changes is drawn as jumps, the rest as a curve.
                drawstyle="steps-post" if 4 * changes < len(values[name]) - 1 else "default",
                color=colour,
                linestyle=dashes,
                label=textwrap.fill(name, 62, subsequent_indent="    "),
            )
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.set_xlim(0, len(values[names[0]]) - 1)
        figure.legend(loc="outside upper left", fontsize="small", ncols=1)
    return figure


if __name__ == "__main__":
    run(main, Config, __doc__)
