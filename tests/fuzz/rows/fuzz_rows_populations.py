"""Valid calls of populations: training, reading, and the rules between epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from fuzz_kinds import (
    anything,
    choice,
    flag,
    function,
    integer,
    key,
    knob,
    mapping,
    only,
    text,
)
from fuzz_outcome import Row, row
from fuzz_rows_parts import BATCH, batch

import jaxnn
from jaxnn import population

BATCHES = {name: np.stack([leaf[:10], leaf[10:]]) for name, leaf in BATCH.items()}
KNOBS = {"lr": np.array([0.1, 0.2])}


def make_recipe(knobs: Any) -> jaxnn.Recipe:
    return jaxnn.Recipe(
        jaxnn.nn.MLP((3,)),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.sgd(knobs["lr"]),
    )


def rows(folder: Path) -> list[Row]:
    data = jaxnn.data.Data(BATCH, BATCH)
    settings = {"epochs": 1, "batch_size": 10, "key": 0, "cohort": 2, "devices": 1}
    members = population.fit_population(make_recipe, KNOBS, data, **settings)
    saved = members.save(folder / "members")
    count, positive = integer(1, huge=False), integer(2, huge=True)
    monitored = {"monitor": text("val/loss"), "mode": choice("min", "max", none=True)}
    shared = {
        "data": batch(data),
        "epochs": count,
        "batch_size": integer(10, 1, 20, huge=True),
        "key": key(0),
        "cohort": integer(2, 1, none=True),
    }

    def is_devices(other: Any) -> bool:
        return other is None or (type(other) is int and 1 <= other <= jax.device_count())

    def is_keys(other: Any) -> bool:
        """None, or two seeds for the two members."""
        return other is None or (np.shape(other) == (2,) and np.asarray(other).dtype.kind in "iu")

    return [
        row(
            "report.write_population_page",
            str,
            population=only(members),
            path=anything(folder / "page.html", lambda o: False, skip=("'no'", "'('")),
            by=text("val/loss", none=True),
            colour=text("lr", none=True),
        ),
        row(
            "fit_population",
            lambda made: made.state.params,
            slow=True,
            make_recipe=function(make_recipe),
            knobs=anything(KNOBS, lambda o: False),
            keys=anything(None, is_keys),
            own_batches=flag(False),
            shrink=only(None, none=True),
            evolve=only(None, none=True),
            checkpoint_every=integer(1, none=True, huge=True),
            steps_per_call=integer(1, none=True, huge=True),
            settings=anything(None, lambda o: isinstance(o, dict) or o is None),
            devices=anything(1, is_devices),
            **shared,
        ),
        row(
            "fit_populations",
            lambda made: made[0].state.params,
            slow=True,
            groups=anything([(make_recipe, KNOBS)], lambda o: False),
            **shared,
        ),
        row(
            "load_population",
            lambda made: made.state.params,
            slow=True,
            folder=anything(saved, lambda o: False),
            make_recipe=function(make_recipe),
        ),
        Row(
            "Population:predict",
            {"x": batch(BATCH["x"]), "batch_size": integer(8, huge=True)},
            members.predict,
            slow=True,
        ),
        Row(
            "Population:evaluate",
            {"data": batch(BATCH), "batch_size": integer(8, huge=True)},
            members.evaluate,
            slow=True,
        ),
        Row(
            "Population:best",
            {
                "k": integer(1, huge=True),
                "by": text("val/loss"),
                "over": choice("last", "best", none=True),
            },
            lambda **given: len(members.best(**given)),
        ),
        Row(
            "Population:schedule",
            {"member": integer(1, -2, 1, huge=True)},
            lambda member: members.schedule(member)[0][1],
        ),
        row(
            "population.hypergradient",
            slow=True,
            make_recipe=function(make_recipe),
            knobs=anything({"lr": 0.1}, lambda o: False),
            state=only(None, none=True),
            batches=anything(BATCHES, lambda o: False),
            val=anything(BATCH, lambda o: False),
            key=key(0),
            accumulate=integer(1, 1, 2, huge=True),
            eval_batch_size=integer(20, none=True, huge=True),
        ),
        row("population.successive_halving", factor=positive, first=count, **monitored),
        row("population.median_stopping", first=count, every=positive, **monitored),
        row(
            "population.exploit_and_explore",
            every=positive,
            fraction=knob(0.25, "(0, 0.5]"),
            perturb=knob(1.2, "[1, inf)", also=lambda o: isinstance(o, dict)),
            bounds=mapping(None, lambda o: False, none=True),
            **monitored,
        ),
        row("population.replay", schedule=anything([(0, {"lr": 0.1})], lambda o: False)),
        row(
            "population.scheduled",
            make_recipe=function(make_recipe),
            schedule=anything([(0, {"lr": 0.1})], lambda o: False),
            steps_per_epoch=positive,
        ),
        row(
            "population.cores_as_devices",
            count=anything(
                jax.device_count(), lambda o: type(o) is int and o == jax.device_count()
            ),
        ),
    ]
