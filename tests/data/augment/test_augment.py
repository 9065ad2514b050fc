"""What every augmentation keeps to: knobs, addresses of draws, dtypes, devices, refusals."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_leaves_close, assert_same_bits
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxnn
from jaxnn.data import augment
from jaxnn.describe import describe

KEY = jax.random.key(3)
STRENGTHS = (0.0, 0.5, 1.0)


class Row(NamedTuple):
    name: str
    make: Callable[[Any], Any]  # of a strength in [0, 1]
    bad: Callable[[], Any] | None = None
    refusal: str = ""


def everything(s):
    return augment.affine(rotation=90 * s, translation=0.3 * s, zoom=0.5 * s, shear=20 * s)


def several(s):
    inner = augment.compose(augment.crop(2 * s, fill="edge"), augment.brightness(0.1 * s))
    return augment.compose(inner, augment.cutout(0.5 * s), inner)


TABLE = [
    Row("brightness", lambda s: augment.brightness(0.4 * s), lambda: augment.brightness(-1.0),
        r"max_delta must be in \[0, 3.4\d*e\+38\], got -1.0"),
    Row("channel_shift", lambda s: augment.channel_shift(0.4 * s),
        lambda: augment.channel_shift(np.nan), r"max_delta must be in \[0, 3.4\d*e\+38\], got nan"),
    Row("contrast", lambda s: augment.contrast(0.4 * s), lambda: augment.contrast(1.5),
        r"max_change must be in \[0, 1\], got 1.5"),
    Row("saturation", lambda s: augment.saturation(0.4 * s), lambda: augment.saturation(2),
        r"max_change must be in \[0, 1\], got 2"),
    Row("hue", lambda s: augment.hue(40 * s), lambda: augment.hue(181.0),
        r"max_angle must be in \[0, 180\], got 181.0"),
    Row("noise", lambda s: augment.noise(0.4 * s), lambda: augment.noise(-0.1),
        r"stddev must be in \[0, 3.4\d*e\+38\], got -0.1"),
    Row("affine", everything, lambda: augment.affine(shear=90.0),
        r"shear must be in \[0, 90\), got 90.0"),
    Row("crop", lambda s: augment.crop(3 * s), lambda: augment.crop(-1),
        r"padding must be in \[0, 1.07374e\+09\], got -1"),
    Row("flip_horizontal", lambda s: augment.flip_horizontal(0.6 * s),
        lambda: augment.flip_horizontal(1.1), r"probability must be in \[0, 1\], got 1.1"),
    Row("flip_vertical", lambda s: augment.flip_vertical(0.6 * s),
        lambda: augment.flip_vertical(-0.1), r"probability must be in \[0, 1\], got -0.1"),
    Row("cutout", lambda s: augment.cutout(0.6 * s), lambda: augment.cutout(3.0),
        r"side must be in \[0, 1\], got 3.0"),
    Row("mixup", lambda s: augment.mixup(0.4 * s, 4), lambda: augment.mixup(-0.2, 4),
        r"alpha must be in \[0, inf\), got -0.2"),
    Row("rotate", lambda s: augment.rotate(90 * s), lambda: augment.rotate(200.0),
        r"max_angle must be in \[0, 180\], got 200.0"),
    Row("translate", lambda s: augment.translate(0.3 * s), lambda: augment.translate(1.5),
        r"max_shift must be in \[0, 1\], got 1.5"),
    Row("zoom", lambda s: augment.zoom(0.5 * s), lambda: augment.zoom(-0.1),
        r"max_change must be in \[0, 3.4\d*e\+38\], got -0.1"),
    Row("shear", lambda s: augment.shear(20 * s), lambda: augment.shear(90.0),
        r"max_angle must be in \[0, 90\), got 90.0"),
    Row("compose", several),
    Row("as_images", lambda s: augment.as_images((3, 4, 5), several(s))),
]  # fmt: skip
ROWS = {row.name: row for row in TABLE}
EVERY_ROW = pytest.mark.parametrize("name", ROWS)


def batch_of(n, padding=0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5, 4, 3)).astype(np.float32)
    x[:, 0, 0], x[:, 1, 1] = -0.0, 1e-30
    batch = {"x": x, "y": rng.integers(0, 4, n).astype(np.int32), "weight": np.ones(n, np.float32)}
    padded = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf[:padding] * 0]), batch)
    return jax.tree.map(jnp.asarray, padded)


def test_every_augmentation_has_a_row():
    made = {
        name
        for name in augment.__all__
        if name != "Augmentation"
        and inspect.signature(getattr(augment, name)).return_annotation == "Augmentation"
    }
    assert len(made) >= 17
    assert made == ROWS.keys() | {"substitute_tokens"}  # of integers, in test_augment_tokens


# All rows of the table in one program: compiling is what takes time here.
def augmented(strength, key, batch):
    return {name: row.make(strength)(key, batch) for name, row in ROWS.items()}


def some(strength, key, batch):
    return {name: ROWS[name].make(strength)(key, batch) for name in SPREAD}


alone = jax.jit(augmented)
QUICKLY = {"xla_backend_optimization_level": 0}
SPREAD = ("contrast", "noise", "affine", "crop", "cutout", "mixup")


@functools.cache
def loop():
    return [jax.device_get(alone(jnp.float32(s), KEY, batch_of(70))) for s in STRENGTHS]


@functools.cache
def together():
    mapped = jax.jit(jax.vmap(augmented, (0, None, None)), compiler_options=QUICKLY)
    return jax.device_get(mapped(jnp.asarray(STRENGTHS), KEY, batch_of(70)))


@functools.cache
def spread():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    batch = jax.device_put(batch_of(70, 2), NamedSharding(mesh, PartitionSpec("data")))
    return jax.jit(some, compiler_options=QUICKLY)(jnp.float32(1.0), KEY, batch)


@EVERY_ROW
def test_vmap_over_the_strength_equals_a_loop_over_it(name):
    for i, one in enumerate(loop()):
        mapped = jax.tree.map(lambda leaf, i=i: leaf[i], together()[name])
        assert_leaves_close(mapped, one[name], 1e-6)
    assert not np.array_equal(loop()[1][name]["x"], loop()[2][name]["x"])


@EVERY_ROW
def test_strength_0_is_the_identity_to_the_last_bit(name):
    """Traced, mapped over, or a plain number."""
    x = batch_of(70)["x"]
    assert_same_bits(loop()[0][name]["x"], x)
    assert_same_bits(together()[name]["x"][0], x)


@pytest.mark.parametrize("name", ["affine", "contrast"])
def test_a_plain_0_is_the_identity_and_what_is_not_finite_stays(name):
    x = jnp.asarray([np.inf, -0.0, np.nan, 2.0], jnp.float32).reshape(1, 2, 2, 1)
    assert_same_bits(jax.jit(ROWS[name].make(0.0))(KEY, x), x)


@pytest.mark.parametrize("name", SPREAD)
def test_8_devices_and_padding_change_no_real_row(name):
    batch = spread()[name]
    assert len(batch["x"].sharding.device_set) == 8
    real = jax.tree.map(lambda leaf: np.asarray(leaf)[:70], batch)
    assert_leaves_close(real, loop()[2][name], 1e-6)


def test_under_vmap_over_strengths_the_bits_are_drawn_once():
    run = lambda s: augmented(s, KEY, batch_of(6))  # noqa: E731
    shapes = [
        equation.outvars[0].aval.shape
        for equation in equations(jax.make_jaxpr(jax.vmap(run))(jnp.zeros(3)).jaxpr)
        if equation.primitive.name == "random_bits"
    ]
    assert len(shapes) >= len(ROWS)
    assert {shape[0] for shape in shapes} == {6}


def equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")
        ):
            if hasattr(inner, "jaxpr"):
                yield from equations(inner.jaxpr)


@EVERY_ROW
def test_labels_weights_and_whatever_else_stay(name):
    batch = batch_of(70)
    kept = ("weight",) if name == "mixup" else ("y", "weight")
    for part in kept:
        assert_same_bits(loop()[2][name][part], batch[part])


def test_each_row_has_draws_of_its_own_and_sees_no_other_row():
    same = {**batch_of(70), "x": jnp.broadcast_to(batch_of(1)["x"], (70, 5, 4, 3))}
    other = {**same, "x": same["x"].at[3].multiply(2.0)}
    a, b = (jax.device_get(alone(jnp.float32(1.0), KEY, batch)) for batch in (same, other))
    for name in ROWS.keys() - {"mixup"}:
        differs = (a[name]["x"] != b[name]["x"]).any((1, 2, 3))
        np.testing.assert_array_equal(np.flatnonzero(differs), [3])
        assert len({row.tobytes() for row in a[name]["x"]}) >= (2 if "flip" in name else 10), name


def test_another_key_draws_otherwise():
    again = alone(jnp.float32(1.0), jax.random.key(4), batch_of(70))
    for name in ROWS:
        assert not np.array_equal(again[name]["x"], loop()[2][name]["x"]), name


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_the_dtype_stays(dtype, x64):
    batch = batch_of(6)
    batch["x"] = batch["x"].astype(dtype)
    for strength in (1.0, jnp.float32(1.0), jnp.float64(1.0)):
        outputs = jax.eval_shape(augmented, strength, KEY, batch)
        assert {name: o["x"].dtype for name, o in outputs.items()} == dict.fromkeys(ROWS, dtype)
        assert {name: o["x"].shape for name, o in outputs.items()} == dict.fromkeys(
            ROWS, (6, 5, 4, 3)
        )


def test_an_array_alone_and_raw_keys():
    run, x = jax.jit(ROWS["brightness"].make(1.0)), batch_of(70)["x"]
    bare = run(KEY, x)
    assert_leaves_close(bare, loop()[2]["brightness"]["x"], 1e-6)
    assert_same_bits(run(jax.random.key_data(KEY), x), bare)
    assert_same_bits(jax.jit(lambda x: ROWS["brightness"].make(1.0)(3, x))(x), bare)


@EVERY_ROW
def test_integers_are_refused_with_the_remedy(name):
    batch = {**batch_of(6), "x": np.zeros((6, 5, 4, 3), np.uint8)}
    with pytest.raises(TypeError, match=r"floating-point values .* got uint8; .*standardize"):
        jax.eval_shape(ROWS[name].make(1.0), KEY, batch)


@pytest.mark.parametrize(
    "name", ["affine", "channel_shift", "contrast", "crop", "cutout", "flip_horizontal"]
)
def test_what_are_no_images_is_refused_with_the_remedy(name):
    with pytest.raises(ValueError, match=r"got shape \(6, 64\); augment.as_images"):
        jax.eval_shape(ROWS[name].make(1.0), KEY, {"x": np.zeros((6, 64), np.float32)})


@pytest.mark.parametrize("name", ["saturation", "hue"])
def test_colours_need_three_channels(name):
    with pytest.raises(ValueError, match=r"3 channels, red, green and blue.*\(6, 8, 8, 1\)"):
        jax.eval_shape(ROWS[name].make(1.0), KEY, np.zeros((6, 8, 8, 1), np.float32))


@pytest.mark.parametrize("row", [row for row in TABLE if row.bad], ids=lambda row: row.name)
def test_a_knob_outside_its_range_is_refused_by_name(row):
    with pytest.raises(ValueError, match="^" + row.refusal):
        row.bad()


def test_other_refusals():
    with pytest.raises(ValueError, match="fill must be in"):
        augment.affine(rotation=10.0, fill=np.inf)
    with pytest.raises(ValueError, match="fill must be one of 'edge', got 'black'"):
        augment.crop(1, fill="black")
    with pytest.raises(ValueError, match=r"must hold \"x\".*\['image'\]"):
        augment.noise(0.1)(KEY, {"image": np.zeros(3)})
    with pytest.raises(TypeError, match=r"must be an array of inputs .* got list"):
        augment.noise(0.1)(KEY, [1.0])
    with pytest.raises(TypeError, match=r"an augmentation must be a function, got 0\.1"):
        augment.compose(augment.crop(1), 0.1)
    with pytest.raises(
        ValueError, match=r"shape must be \(height, width, channels\), got \(8, 8\)"
    ):
        augment.as_images((8, 8), augment.crop(1))
    with pytest.raises(ValueError, match=r"rows of 64 values .* got shape \(5, 63\)"):
        augment.as_images((8, 8, 1), augment.crop(1))(KEY, jnp.zeros((5, 63)))


@EVERY_ROW
def test_a_description_tells_settings_apart(name):
    make = ROWS[name].make
    assert describe(make(0.5)) == describe(make(0.5))
    assert describe(make(0.5)) != describe(make(0.25))


def test_a_description_reads_like_what_was_written():
    assert describe(augment.rotate(15.0)) == {
        "jaxnn.data.augment.geometry.affine": {
            "fill": 0.0,
            "rotation": 15.0,
            "shear": None,
            "translation": None,
            "zoom": None,
        }
    }
    composed = describe(augment.compose(augment.noise(0.1), augment.crop(2)))
    assert list(composed) == ["jaxnn.data.augment.combine.compose"]
    assert composed != describe(augment.compose(augment.crop(2), augment.noise(0.1)))
    fills = [describe(augment.crop(1, fill=fill)) for fill in (0.0, 1.0, "edge", np.zeros(3))]
    assert all(fills[i] != fills[j] for i in range(4) for j in range(i))
    shapes = [describe(augment.as_images(s, augment.crop(1))) for s in ((8, 8, 1), (4, 16, 1))]
    assert shapes[0] != shapes[1]


def test_composed_draws_stay_when_something_is_put_in():
    x = jnp.zeros((4, 2, 2, 1))
    shift, flip = augment.brightness(1.0), augment.flip_vertical(0.0)
    chains = [(shift,), (flip, shift), (shift, shift), ()]
    run = jax.jit(lambda x: [augment.compose(*chain)(KEY, x) for chain in chains])
    alone, put_in, twice, nothing = run(x)
    assert_same_bits(put_in, alone)
    assert not np.allclose(twice, 2 * alone)
    assert_same_bits(nothing, x)


def test_training_with_it_on_gives_the_same_bits_in_chunks():
    data = jaxnn.data.digits(key=0)
    data = jaxnn.data.Data(train=jax.tree.map(lambda leaf: leaf[:600], data.train))
    moved = augment.as_images((8, 8, 1), augment.rotate(10.0))
    recipe = jaxnn.Recipe(
        model=jaxnn.nn.MLP((10,)),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(1e-2),
        augmentation=augment.compose(moved, augment.mixup(0.2, 10)),
    )
    whole, chunked = (
        jaxnn.fit(recipe, data, epochs=2, batch_size=64, key=1, steps_per_call=steps)
        for steps in (None, 7)
    )
    assert_same_bits(chunked.state.params, whole.state.params)
    first, second = whole.history.series("train/loss")
    assert second < first
    described = whole.config["recipe"]["jaxnn.recipe.Recipe"]["augmentation"]
    assert "'rotation': 10.0" in str(described) and "'alpha': 0.2" in str(described)
