"""Valid calls of `jaxnn.keys`, `jaxnn.scaling`, `jaxnn.inspect` and `jaxnn.report`."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from fuzz_argument import are_integers, is_integer
from fuzz_kinds import anything, flag, function, integer, integers, key, knob, only, text, tree
from fuzz_outcome import Row, row
from fuzz_rows_parts import BATCH, plain, trained

from jaxnn import inspect, scaling
from jaxnn.data import augment

NOT_NEGATIVE, POSITIVE = "[0, inf)", "(0, inf)"
IMAGES = np.linspace(0, 1, 4 * 36, dtype=np.float32).reshape(4, 6, 6)


def _keys() -> list[Row]:
    index = anything(
        3, lambda o: is_integer(o) and 0 <= int(o) < 2**32, called=("index", "indices")
    )
    return [
        row("keys.as_key", key=key(0)),
        Row(
            "keys.stream",
            {"root": key(jax.random.key(0)), "name": text("dropout"), "indices": index},
            _streamed,
        ),
        Row(
            "keys.Keys",
            {
                "root": key(jax.random.key(0)),
                "index": index,
                "micro_batch": dataclasses.replace(index, value=None, takes=_or_none(index.takes)),
                "device": dataclasses.replace(index, value=None, takes=_or_none(index.takes)),
            },
            _keyed,
        ),
        Row("keys.Keys:call", {"name": text("dropout")}, lambda name: _keyed_by(name)),
    ]


def _or_none(takes: Any) -> Any:
    return lambda other: other is None or takes(other)


def _streamed(root: Any, name: Any, indices: Any) -> Any:
    from jaxnn.keys import stream

    return stream(root, name, 1, indices)


def _keyed(**values: Any) -> Any:
    from jaxnn.keys import Keys

    return Keys(**values)("dropout")


def _keyed_by(name: Any) -> Any:
    return _keyed_of(name, jax.random.key(0))


def _keyed_of(name: Any, root: Any) -> Any:
    from jaxnn.keys import Keys

    return Keys(root, jnp.int32(0))(name)


def _scaling() -> list[Row]:
    rate = knob(1e12, POSITIVE)
    shape = jax.ShapeDtypeStruct
    batch = {"x": shape((8, 3), jnp.float32), "y": shape((8,), jnp.int32)}
    batch_of = tree(batch, also=lambda o: o is batch, called=("x", "batch"))
    link = {
        "group": integer(8, huge=True),
        "link_bandwidth": rate,
        "link_latency": knob(1e-6, NOT_NEGATIVE),
        "network_bandwidth": rate,
        "network_latency": knob(1e-6, NOT_NEGATIVE),
        "torus": integer(1, huge=False),
    }
    counts = integers((8, 64), lengths=range(9))
    one = anything(8, lambda o: is_integer(o) and (1 <= int(o) <= 8 or int(o) % 8 == 0))
    return [
        row(
            "scaling.Chip",
            name=text("mine"),
            flops=rate,
            memory_bandwidth=rate,
            memory=anything(
                1e9,
                lambda o: (
                    o > 0 if isinstance(o, float) and o > 3e38 else knob(1.0, POSITIVE).takes(o)
                ),
            ),
            achieved=knob(0.5, "(0, 1]"),
        ),
        row(
            "scaling.Interconnect",
            lambda made: made.all_reduce_seconds(1e6, 16),
            name=text("mine"),
            **link,
        ),
        Row(
            "scaling.Interconnect:all_reduce_seconds",
            {"size": knob(1e6, NOT_NEGATIVE), "devices": one},
            lambda **values: scaling.H100_CLUSTER.all_reduce_seconds(**values),
        ),
        row("scaling.step_cost", slow=True, recipe=only(plain()), batch=batch_of),
        row(
            "scaling.estimate_scaling",
            slow=True,
            recipe=only(plain()),
            batch=batch_of,
            devices=dataclasses.replace(
                counts,
                takes=lambda o: (
                    are_integers(o, 1, range(9)) or o in ([], ())
                    if isinstance(o, (list, tuple))
                    else False
                ),
            ),
            chip=only(scaling.H100),
            interconnect=only(scaling.H100_CLUSTER),
        ),
    ]


def _inspection() -> list[Row]:
    return [
        row(
            "inspect.Activations",
            layers=text("Dense_0"),
            gradients=flag(True),
            margin=knob(0.01, "(0, 0.5)"),
            every=integer(1),
        ),
        row("inspect.Alpha", groups=integer(8, 2), every=integer(50)),
        row(
            "inspect.Average",
            function=function(dict),
            needs=only(("loss",)),
            every=integer(1),
        ),
        row("inspect.CurvatureTrace", draws=integer(1), every=integer(100)),
        row("inspect.GradientNoise", groups=integer(8, 2), every=integer(50)),
        row("inspect.GradientNorm", every=integer(1)),
        row(
            "inspect.Histograms",
            layers=text("Dense_0"),
            parameters=text("kernel"),
            activations=flag(True),
            gradients=flag(True),
            weights=flag(True),
            low=integer(-30, -126, 9),
            high=integer(10, -29, 128),
            every=integer(1),
        ),
        row("inspect.LargestCurvature", iterations=integer(10), every=integer(100)),
        row("inspect.LossDecrease", every=integer(50)),
        row("inspect.Norms", parameters=text("kernel"), every=integer(1)),
        row("inspect.UpdateCosine", parameters=text("kernel"), every=integer(1)),
        row("inspect.standard_probes", every=integer(10), costly_every=integer(50, none=True)),
        Row("inspect.GradientNorm:hash", {}, lambda: hash(inspect.GradientNorm())),
        row(
            "inspect.check",
            lambda report: len(report.results),
            slow=True,
            recipe=only(plain()),
            data=anything(BATCH),  # what is wrong with data is in the report
            key=key(0),
            knobs=anything(None, lambda o: o is None or o == {}, called=("make_recipe",)),
        ),
    ]


def _reports(folder: Path) -> list[Row]:
    history, run = trained().history, trained()
    image = {"x": IMAGES, "y": np.arange(4)}

    def figure(label: str = "a picture") -> Any:
        from matplotlib.figure import Figure

        return Figure(label=label, figsize=(1, 1))

    def drawn(made: Any) -> Any:
        return len(made.axes)

    def shown(progress: Any) -> Any:
        started = SimpleNamespace(config={"epochs": 3}, history=SimpleNamespace(epochs=[]))
        progress.on_start(started)
        progress.on_epoch(SimpleNamespace(epoch=1, values={"train/loss": 0.5, "seconds": 2.0}))
        progress.on_end(started)

    def section(value: Any) -> Any:
        return anything(
            value,
            lambda o: o in ([], ()) if isinstance(o, (list, tuple)) else False,
            called=("section", "figure"),
        )

    def console() -> Any:
        from rich.console import Console

        return Console(file=io.StringIO())

    return [
        row("report.loss_curve", drawn, history=only(history)),
        row("report.metric_curve", drawn, history=only(history), name=text("accuracy")),
        row(
            "report.augmentation_figure",
            drawn,
            slow=True,
            augmentation=function(augment.as_images((6, 6, 1), augment.crop(1))),
            batch=tree(image, called=("x", "y")),
            key=key(0),
            rows=integer(2, huge=True),
            shape=anything(
                (6, 6), lambda o: o is None or are_integers(o, 1, (2, 3)), called=("batch",)
            ),
        ),
        row("report.render", len, run=only(run)),
        row("report.svg", len, figure=only(figure())),
        row(
            "report.write_album",
            str,
            path=anything(folder / "album.html", lambda o: False, skip=("'no'", "'('")),
            title=text("Some pictures"),
            sections=section([("One", "Text.", [figure("one")])]),
        ),
        row("report.Progress", shown, console=anything(console(), lambda o: o is None)),
        row("report.Page"),
        row("report.PopulationPage", by=text("val/loss", none=True), colour=text("lr", none=True)),
    ]


def rows(folder: Path) -> list[Row]:
    return [*_keys(), *_scaling(), *_inspection(), *_reports(folder)]
