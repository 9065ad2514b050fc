"""Draw the activations of six layers for small, large, Xavier and He weights.

    python -m experiments.lectures.activation_statistics

A batch of 16 inputs from a standard normal goes through six layers of 4096 units without
biases, tanh or ReLU; the weights are N(0, 0.01²), N(0, 0.05²), Xavier's in the form of the
lecture, N(0, 1/fan-in), or He's, N(0, 2/fan-in). The page shows the histogram of every layer.

Cost: 10 to 14 seconds on two cores of an x86 server, the upper end with other work beside it, and
2 GB of memory. Half of the time goes into drawing 100 million random numbers, which all four
initializers share.
Expected, the standard deviation of the first and of the last layer's activations:

              tanh             ReLU
    0.01      0.49 to 0.046    0.37 to 0.0070    the activations fade, and learning with them
    0.05      0.87 to 0.85     1.9 to 110        saturated, where the slope is 0; or exploded
    Xavier    0.63 to 0.30     0.58 to 0.10      right for tanh, fades with ReLU
    He        0.72 to 0.56     0.83 to 0.82      right for ReLU: constant within 10 %

Each layer multiplies small activations by 0.01·√4096 = 0.64 (with ReLU by 0.64/√2), so that
with weights of 0.01 the deviation falls below 1e-3 at layer 15 with tanh and at layer 9 with
ReLU, as --layers 15 shows.

Source: lecture S, "Weight Initialization: Activation statistics".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lectures.drawing import LINES
from experiments.options import check_file, check_numbers, check_seed
from experiments.program import run
from jaxnn import nn
from jaxnn.arguments import check_knob
from jaxnn.keys import stream
from jaxnn.report import write_album
from jaxnn.report.style import COLOURS, INK, plain_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Config:
    """Activation statistics of six layers, for four kinds of weights."""

    layers: int = 6
    """Layers of the network, at least 1."""
    width: int = 4096
    """Inputs, and units of each layer, at least 1."""
    batch: int = 16
    """Examples, at least 1."""
    small: float = 0.01
    """Standard deviation of the small weights, at least 0."""
    large: float = 0.05
    """Standard deviation of the large weights, at least 0."""
    seed: int = 0
    """Seed of the inputs and the weights."""
    page: Path = Path("runs/lectures/activation_statistics.html")
    """HTML file in which the pictures are written."""


ACTIVATIONS = {"tanh": nn.tanh, "ReLU": nn.relu}

Activations = dict[str, dict[str, np.ndarray]]
"""By activation and kind of weights, of shape (layers, batch, width)."""


def weights(config: Config) -> dict[str, nn.Initializer]:
    """Return the initializers by the names that the page gives them."""
    return {
        f"N(0, {config.small:g}²)": nn.normal(config.small),
        f"N(0, {config.large:g}²)": nn.normal(config.large),
        "Xavier": nn.lecun_normal(),
        "He": nn.he_normal(),
    }


@partial(jax.jit, static_argnums=0)
def forward(config: Config, key: jax.Array) -> dict[str, dict[str, jax.Array]]:
    """Compute the activations of all layers for every activation function and initializer.

    The network of each kind has the same random numbers, times another deviation; the
    compiler draws them once.
    """
    kinds = weights(config)
    start = jax.random.normal(stream(key, "inputs"), (config.batch, config.width))
    now = {name: dict.fromkeys(kinds, start) for name in ACTIVATIONS}
    seen = []
    for layer in range(config.layers):
        address = stream(key, "weights", layer)
        for kind, init in kinds.items():
            w = init(address, (config.width, config.width), float)
            for name, phi in ACTIVATIONS.items():
                now[name][kind] = phi(now[name][kind] @ w)
        seen.append({name: dict(below) for name, below in now.items()})
    return jax.tree.map(lambda *layers: jnp.stack(layers), *seen)


def main(config: Config) -> Activations:
    """Compute the activations, print their deviations, draw the histograms."""
    check_numbers(config, "layers", "width", "batch")
    for name in ("small", "large"):
        check_knob(name, getattr(config, name), 0)
    check_seed(config.seed)
    check_file("page", config.page)
    found = jax.device_get(forward(config, jax.random.key(config.seed)))
    # A compiled program hands its dicts back sorted.
    found = {name: {kind: found[name][kind] for kind in weights(config)} for name in ACTIVATIONS}
    for name, by_kind in found.items():
        heads = "".join(f"{layer:>10}" for layer in range(1, config.layers + 1))
        print(f"{name + ', deviation of layer':28}{heads}")
        for kind, activations in by_kind.items():
            cells = "".join(f"{deviation:10.3g}" for deviation in activations.std(axis=(1, 2)))
            print(f"  {kind:26}{cells}")
    print(f"page  {draw(found, config)}")
    return found


WORDS = {
    "tanh": (
        "Small weights let the activations fade from layer to layer: the gradient of a weight "
        "is the activation before it times what comes back, so it fades too. Large ones drive "
        "every unit to −1 or 1, where the slope of tanh is 0. With Xavier's, 1/√fan-in, all "
        "layers spread over the range."
    ),
    "ReLU": (
        "Half of the activations are 0 and are left out of the histograms. Xavier's weights "
        "assume an activation that is centred on 0, and lose half of the mean square in every "
        "layer. He's √(2/fan-in) puts it back: all layers look alike. Each row has a range of "
        "its own."
    ),
}


def draw(found: Mapping[str, Mapping[str, np.ndarray]], config: Config) -> Path:
    """Write the page."""
    how = (
        f"{config.batch} inputs from a standard normal go through {config.layers} layers of "
        f"{config.width} units without biases. Above each histogram stand the mean and the "
        "standard deviation of the layer's activations; a mean below 2 % of the deviation, "
        "which is chance, stands as 0."
    )
    sections = [("How large they are", how, [deviations(found)])]
    for name, by_kind in found.items():
        sections.append((name, WORDS[name], [histograms(name, by_kind)]))
    return write_album(config.page, "Activation statistics", sections)


def deviations(found: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw the standard deviation by layer, a panel for each activation function."""
    from matplotlib.figure import Figure

    with plain_style():
        figure = Figure(
            figsize=(10.6, 3.4),
            layout="constrained",
            label="standard deviation of the activations by layer",
        )
        panels = figure.subplots(1, len(found))
        for axes, (name, by_kind) in zip(panels, found.items(), strict=True):
            layers = np.arange(1, len(next(iter(by_kind.values()))) + 1)
            for (kind, activations), colour in zip(by_kind.items(), LINES, strict=False):
                # A deviation of 0, of weights of 0, has no place on a logarithmic axis.
                deviation = activations.std(axis=(1, 2), dtype=float)
                deviation = np.where(deviation > 0, deviation, np.nan)
                axes.plot(layers, deviation, color=colour, marker="o", label=kind)
            axes.set(yscale="log", xlabel="layer", xticks=layers)
            axes.set_title(name, fontsize=10, loc="left", fontweight="bold")
        panels[0].set_ylabel("standard deviation")
        panels[0].legend(fontsize="small")
    return figure


def histograms(name: str, by_kind: Mapping[str, np.ndarray]) -> Figure:
    """Draw the histograms: a row for each initializer, a column for each layer."""
    from matplotlib.figure import Figure

    layers = len(next(iter(by_kind.values())))
    with plain_style({"axes.grid": False, "axes.spines.left": False}):
        figure = Figure(
            figsize=(10.6, 1.55 * len(by_kind)),
            layout="constrained",
            label=f"histograms of the activations of {name} by layer",
        )
        rows = figure.subplots(len(by_kind), layers, squeeze=False)
        for row, (kind, activations) in zip(rows, by_kind.items(), strict=True):
            highest = 1.0 if name == "tanh" else _highest(activations)
            for axes, values in zip(row, activations, strict=True):
                _histogram(axes, values, (-1.0 if name == "tanh" else 0.0, highest))
            row[0].set_ylabel(kind, fontsize=9, fontweight="bold")
        for layer, axes in enumerate(rows[-1], 1):
            axes.set_xlabel(f"layer {layer}", fontsize=9)
    return figure


def _highest(activations: np.ndarray) -> float:
    """Find the end of a row's axis, above nearly all activations of its widest layer."""
    return float(max(np.quantile(layer, 0.999) for layer in activations)) or 1.0


def _histogram(axes: Axes, values: np.ndarray, ends: tuple[float, float]) -> None:
    shown = values[values != 0] if ends[0] == 0 else values
    counts, edges = np.histogram(shown, bins=40, range=ends)
    axes.stairs(counts / max(counts.max(), 1), edges, fill=True, color=COLOURS["train"])
    axes.set(xlim=ends, ylim=(0, 1.05), yticks=[], xticks=ends)
    axes.set_xticks(ends, [f"{end:.3g}" for end in ends], fontsize=7.5)
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    mean, deviation = values.mean(dtype=float), values.std(dtype=float)
    shown_mean = f"{mean:.3g}" if abs(mean) > 0.02 * deviation else "0"
    axes.set_title(f"{shown_mean} ± {deviation:.3g}", fontsize=8, color=INK)


if __name__ == "__main__":
    run(main, Config, __doc__)
