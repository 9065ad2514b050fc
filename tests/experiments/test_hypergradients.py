"""The lectures' program that tunes knobs by derivatives: the loss falls, the page is whole."""

from __future__ import annotations

import re

import numpy as np
import pytest

from experiments.lectures import hypergradients


def tuned(tmp_path, **settings):
    config = hypergradients.Config(page=tmp_path / "page.html", **settings)
    return config, hypergradients.main(config)


def test_few_updates(tmp_path, capsys):
    config, result = tuned(tmp_path, updates=2, steps=12, rows=40, batch_size=16)
    assert list(result.knobs) == ["lr", *hypergradients.LAYERS]
    for values in (*result.knobs.values(), *result.val.values(), *result.test.values()):
        assert values.shape == (3,)
    # Adam's first step on a logarithm is its rate, whatever the size of the derivative.
    for name, values in result.knobs.items():
        first = config.learning_rate if name == "lr" else config.l2
        assert abs(abs(np.log(values[1] / first)) - config.knob_rate) < 1e-2, name
    assert result.knobs["lr"][1] > config.learning_rate  # so few steps are too short
    assert result.val["loss"][2] < result.val["loss"][0]
    assert f"{result.test['loss'][2]:.4f}" in capsys.readouterr().out
    labels = re.findall(r'<svg [^>]*aria-label="(.*?)"', config.page.read_text("utf-8"))
    assert labels == ["losses by update", "knobs by update"]


@pytest.mark.parametrize("rows", [8, 2000])
def test_rows_that_do_not_suit_are_refused(tmp_path, rows):
    with pytest.raises(ValueError, match=f"rows must be from batch_size, 50, to 1078, got {rows}"):
        tuned(tmp_path, rows=rows)


@pytest.mark.slow
def test_in_full(tmp_path):
    _, result = tuned(tmp_path)
    assert result.val["loss"][-1] < 0.75 * result.val["loss"][0]
    assert result.test["loss"][-1] < 0.85 * result.test["loss"][0]
