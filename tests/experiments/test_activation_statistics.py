"""The program of lecture S on activation statistics: its numbers against NumPy."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest

from experiments.lectures import activation_statistics
from jaxnn.keys import stream

PHI = {"tanh": np.tanh, "ReLU": lambda x: np.maximum(0, x)}


def numpy_layers(config, phi, deviation):
    """The lecture's loop in float64, with the program's random numbers."""
    key, width = jax.random.key(config.seed), config.width
    h = np.asarray(jax.random.normal(stream(key, "inputs"), (config.batch, width)), float)
    layers = []
    for layer in range(config.layers):
        z = jax.random.normal(stream(key, "weights", layer), (width, width))
        h = phi(h @ (np.asarray(z, float) * deviation))
        layers.append(h)
    return np.array(layers)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    page = tmp_path_factory.mktemp("statistics") / "page.html"
    config = activation_statistics.Config(layers=3, width=200, small=0.02, large=0.2, page=page)
    return config, activation_statistics.main(config)


def test_activations_are_those_of_the_loop(small):
    config, found = small
    deviations = [0.02, 0.2, np.sqrt(1 / 200), np.sqrt(2 / 200)]
    for name, by_kind in found.items():
        assert list(by_kind) == ["N(0, 0.02²)", "N(0, 0.2²)", "Xavier", "He"]
        for activations, deviation in zip(by_kind.values(), deviations, strict=True):
            expected = numpy_layers(config, PHI[name], deviation)
            assert activations.shape == (3, 16, 200)
            error = np.linalg.norm(activations - expected)
            assert error <= 1e-4 * np.linalg.norm(expected)


def test_the_page_holds_every_histogram(small):
    config, found = small
    html = config.page.read_text("utf-8")
    labels = re.findall(r'<svg [^>]*aria-label="(.*?)"', html)
    assert len(labels) == 3
    for by_kind in found.values():
        for kind, activations in by_kind.items():
            assert f">{kind}</text>" in html
            for layer in activations:
                assert f"± {layer.std(dtype=float):.3g}</text>" in html


def test_weights_of_0_are_drawn_too(tmp_path, capsys):
    page = tmp_path / "page.html"
    config = activation_statistics.Config(layers=1, width=8, batch=2, small=0.0, page=page)
    found = activation_statistics.main(config)
    assert not np.any(found["ReLU"]["N(0, 0²)"])
    assert len(capsys.readouterr().out.splitlines()) == 11
    with pytest.raises(ValueError, match="layers must be a positive integer, got 0"):
        activation_statistics.main(activation_statistics.Config(layers=0, page=page))


@pytest.mark.slow
def test_the_numbers_of_the_lecture(tmp_path):
    config = activation_statistics.Config(layers=15, page=tmp_path / "page.html")
    found = activation_statistics.main(config)
    deviation = {
        name: {kind: layers.std(axis=(1, 2), dtype=float) for kind, layers in by_kind.items()}
        for name, by_kind in found.items()
    }
    tanh, relu = deviation["tanh"], deviation["ReLU"]
    np.testing.assert_allclose(tanh["Xavier"][:6], [0.63, 0.49, 0.41, 0.36, 0.32, 0.30], atol=0.01)
    np.testing.assert_allclose(relu["He"][:6], relu["He"][0], rtol=0.1)
    assert (tanh["N(0, 0.05²)"] > 0.84).all()
    assert 0.04 < tanh["N(0, 0.01²)"][5] < 0.05 and 0.006 < relu["N(0, 0.01²)"][5] < 0.008
    assert tanh["N(0, 0.01²)"][13] > 1e-3 > tanh["N(0, 0.01²)"][14]
    assert relu["N(0, 0.01²)"][7] > 1e-3 > relu["N(0, 0.01²)"][8]
    np.testing.assert_allclose(relu["Xavier"][:6], 0.583 / 2 ** (np.arange(6) / 2), rtol=0.05)
