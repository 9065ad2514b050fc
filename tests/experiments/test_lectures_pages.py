"""The lectures' programs that draw: every optimizer and schedule is there, and right."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from experiments.lectures import optimizer_paths, schedules
from jaxnn import optim


def pictures(page):
    """The labels of the pictures of a page that needs nothing from outside."""
    html = page.read_text("utf-8")
    assert not re.search(r"<(script|link|img|image|iframe|object|embed|base)\b", html)
    assert set(re.findall(r"https?://[^\"<]*", html)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", html))
    ids = re.findall(r' id="(.*?)"', html)
    assert len(ids) == len(set(ids))
    return html, re.findall(r'<svg [^>]*aria-label="(.*?)"', html)


# Paths of the optimizers.


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    page = tmp_path_factory.mktemp("paths") / "paths.html"
    config = optimizer_paths.Config(steps=60, rates=7, page=page)
    return config, optimizer_paths.main(config)


@pytest.mark.slow
def test_every_optimizer_is_in_the_picture(paths):
    config, chosen = paths
    html, labels = pictures(config.page)
    assert len(labels) == 2 * len(optimizer_paths.SCENES) == 6
    assert list(chosen) == list(optimizer_paths.OPTIMIZERS)
    for name in optimizer_paths.OPTIMIZERS:
        # A panel of its own, and a line among the losses, for each surface.
        assert html.count(f">{name}</text>") == 6, name


def test_no_optimizer_of_jaxnn_is_missing():
    def takes_a_rate(function):
        return (
            inspect.isfunction(function)
            and "learning_rate" in inspect.signature(function).parameters
        )

    ours = {name for name in optim.__all__ if takes_a_rate(getattr(optim, name))}
    ours -= {"scale_by_learning_rate", "soft_threshold"}  # parts of an optimizer
    made = optimizer_paths.OPTIMIZERS.values()
    assert ours == {getattr(make, "func", make).__name__ for make in made}
    families = [name for family in optimizer_paths.FAMILIES.values() for name in family]
    assert families == list(optimizer_paths.OPTIMIZERS)


GRADIENTS = {
    "valley": lambda p: np.array([p[0], 50 * p[1]]),
    "saddle": lambda p: np.array([p[0], p[1] * (p[1] ** 2 - 1)]),
    "rosenbrock": lambda p: np.array(
        [-2 * (1 - p[0]) - 400 * p[0] * (p[1] - p[0] ** 2), 200 * (p[1] - p[0] ** 2)]
    ),
}


def ahead(points, velocity):
    return points[-1] + 0.9 * velocity


def numpy_path(name, gradient, start, rate, steps):
    """The lectures' formulas, gradient descent, momentum and Nesterov's lookahead."""
    points, velocity = [np.array(start)], np.zeros(2)
    for _ in range(steps):
        at = ahead(points, velocity) if "nesterov" in name else points[-1]
        velocity = (0 if name == "sgd" else 0.9 * velocity) - rate * gradient(at)
        points.append(points[-1] + velocity)
    return np.array(points)


@pytest.mark.slow
@pytest.mark.parametrize("surface", optimizer_paths.SCENES)
@pytest.mark.parametrize(
    "name", ["sgd", "momentum", "momentum, rate inside", "nesterov, lookahead"]
)
def test_paths_are_those_of_the_formulas(paths, surface, name):
    config, chosen = paths
    found, scene = chosen[name][surface], optimizer_paths.SCENES[surface]
    assert found.points.shape == (2, config.steps + 1, 2)
    for points, start in zip(found.points, scene.starts, strict=True):
        expected = numpy_path(name, GRADIENTS[surface], start, found.rate, config.steps)
        # Later, where a path swings across the bent valley, float32's rounding grows.
        error = np.linalg.norm(points[:31] - expected[:31])
        assert error <= 3e-5 * np.linalg.norm(expected[:31])


def test_losses_are_those_of_the_points(paths):
    _, chosen = paths
    for by_surface in chosen.values():
        x, y = np.moveaxis(by_surface["rosenbrock"].points.astype(np.float64), -1, 0)
        expected = (1 - x) ** 2 + 100 * (y - x**2) ** 2
        np.testing.assert_allclose(by_surface["rosenbrock"].losses, expected, rtol=1e-3, atol=1e-5)


def test_minima_are_where_they_are_drawn():
    for name, scene in optimizer_paths.SCENES.items():
        for minimum in scene.minima:
            assert float(scene.loss(np.array(minimum))) == 0
            assert np.all(GRADIENTS[name](minimum) == 0)


def test_the_rate_is_the_lowest_of_those_that_arrive_or_the_best():
    losses = np.ones((3, 2, 4, 5))  # surfaces, starts, rates, steps
    losses[0, :, :, -1] = [[9.0, 1e-9, 1e-12, np.nan], [1.0, 1e-9, 1e-12, 1.0]]
    losses[1, :, :, -1] = [[9.0, 3.0, 2.0, np.inf], [1.0, 1.0, 1.5, 0.0]]
    losses[2, :, :, -1] = [[9.0, 3.0, 4.0, 1e-3], [1.0, 1.0, 1.5, 1e-7]]
    points = np.arange(4.0)[:, None, None] * np.ones((3, 2, 1, 5, 2))
    rates = np.array([0.1, 0.2, 0.4, 0.8])
    chosen = optimizer_paths.choose(optimizer_paths.Paths(points, losses), rates)
    assert [found.rate for found in chosen.values()] == [0.2, 0.4, 0.8]
    assert [found.points[0, 0, 0] for found in chosen.values()] == [1, 2, 3]


@pytest.mark.slow
def test_the_numbers_that_the_program_promises(tmp_path):
    chosen = optimizer_paths.main(optimizer_paths.Config(page=tmp_path / "page.html"))

    def ends(name, surface):
        return chosen[name][surface].losses[:, -1].max()

    assert 1e-4 < ends("sgd", "valley") < 1e-3
    assert ends("momentum", "valley") < 1e-7
    assert ends("nesterov, lookahead", "valley") < 1e-9
    assert 1e-3 < ends("rmsprop", "valley") < 1e-2
    # AdaDelta's steps begin tiny, and Lion's never shrink.
    assert all(ends(name, "saddle") < 1e-6 for name in chosen if name not in ("adadelta", "lion"))
    assert ends("sgd", "rosenbrock") > 1 > 0.2 > ends("momentum", "rosenbrock")
    assert ends("adam", "rosenbrock") < 0.05


# Schedules.


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    config = schedules.Config(page=tmp_path_factory.mktemp("schedules") / "schedules.html")
    return config, schedules.main(config)


def names_in(call):
    inner = [*call.arguments, *(value for _, value in call.named)]
    inner = [item for value in inner for item in (value if isinstance(value, list) else [value])]
    names = {call.name}
    for value in inner:
        if isinstance(value, schedules.Call):
            names |= names_in(value)
    return names


def test_no_schedule_of_jaxnn_is_missing():
    calls = [call for _, _, drawn in schedules.GROUPS for picture in drawn for call in picture]
    firsts = {call.name for call in calls}
    assert firsts == set(optim.schedules.__all__)
    assert set.union(*map(names_in, calls)) == firsts


def test_every_schedule_is_in_the_picture(drawn):
    config, values = drawn
    html, labels = pictures(config.page)
    assert len(labels) == sum(len(pictures) for _, _, pictures in schedules.GROUPS)
    words = re.sub(r"<[^>]*>", " ", html).replace("&quot;", '"')
    words = re.sub(r"\s+", "", words)
    for call in values:
        assert call.replace(" ", "") in words, call


def test_values_are_those_of_the_formulas(drawn):
    _, values = drawn
    t = np.arange(101)

    def close(name, expected):
        np.testing.assert_allclose(values[name], np.broadcast_to(expected, 101), 1e-5, 1e-6, name)

    tau = t / 60
    close("constant(0.6)", 0.6)
    close("step(1.0, every=20, factor=0.5)", 0.5 ** (t // 20))
    pieces = "piecewise_constant([40, 70], [1.0, 0.5, 0.1]"
    close(f"{pieces})", np.select([t < 40, t < 70], [1.0, 0.5], 0.1))
    last = f'{pieces}, boundary_belongs_to="last")'
    close(last, np.select([t <= 40, t <= 70], [1.0, 0.5], 0.1))
    close("natural_exponential(1.0, k=0.02)", np.exp(-0.02 * t))
    close("inverse_time(1.0, decay_rate=0.2)", 1 / (1 + 0.2 * t))
    close("power(1.0, transition_steps=10, power=2.0)", (1 + t / 10) ** -2.0)
    close("linear(1.0, 0.1, 60)", 1 - 0.9 * np.minimum(tau, 1))
    close("linear(1.0, 0.1, 60, clamp=False)", 1 - 0.9 * tau)
    close("cosine(1.0, 60, alpha=0.1, clamp=False)", 0.55 + 0.45 * np.cos(np.pi * tau))
    warm = np.where(t < 20, t / 20, 0.5 + 0.5 * np.cos(np.pi * (t - 20) / 80))
    close("warmup(cosine(1.0, 80), 20)", warm)
    close("in_epochs(step(1.0, every=2), steps_per_epoch=10)", 0.5 ** (t // 20))


def test_a_call_is_made_as_it_reads():
    call = schedules.call(
        "join", [schedules.call("constant", 1.0), schedules.call("step", 2.0, every=3)], [4]
    )
    assert str(call) == "join([constant(1.0), step(2.0, every=3)], [4])"
    made = eval(str(call), vars(optim.schedules))
    count = np.arange(12)
    np.testing.assert_array_equal(call.make()(count), made(count))
