"""Bundles: what is exported predicts the same, and files of anything else are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

import jaxnn
from jaxnn import losses
from jaxnn.describe import describe
from jaxnn.train.bundle.answers import classes, probabilities
from jaxnn.train.record.lines import sealed

NAMES = ("low", "middle", "high")
ARGUMENTS = {"epochs": 2, "batch_size": 32, "key": 0}


@pytest.fixture(scope="module")
def raw():
    rng = np.random.default_rng(0)
    x = (50 + 20 * rng.normal(size=(90, 5))).astype(np.float32)
    return x, np.digitize(x[:, 0], (40, 60)).astype(np.int32)


@pytest.fixture(scope="module")
def data(raw):
    found = jaxnn.data.from_arrays(*raw, key=0, preprocess="standardize")
    return replace(found, classes=NAMES)


def make_recipe(model=None, **more):
    model = model or jaxnn.nn.MLP(
        (8, 3), activation="tanh", normalization="batch", kernel_init=nn.initializers.ones
    )
    loss, optimizer = jaxnn.losses.softmax_cross_entropy, jaxnn.optim.adam(1e-2)
    return jaxnn.Recipe(model, loss, optimizer, **more)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    return jaxnn.fit(make_recipe(), data, folder=folder, **ARGUMENTS)


@pytest.fixture
def folder(run, tmp_path):
    return run.export(tmp_path / "bundle")


def test_a_bundle_and_a_folder_of_a_run_answer_as_the_run(run, raw, data, folder):
    """From raw inputs too, without the recipe; its oracle is the softmax by hand."""
    x, _ = raw
    mean, deviation = data.preprocess
    logits = run.predict(((x - mean) / deviation).astype(np.float32)).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loaded = jaxnn.load(run.folder, make_recipe())
    for found in (run, loaded, jaxnn.load_bundle(folder), jaxnn.load_bundle(run.folder)):
        np.testing.assert_array_equal(found.predict(data.val), run.predict(data.val["x"]))
        np.testing.assert_allclose(found.predict_probabilities(x), shares, atol=1e-6)
        answers = found.predict_classes(x)
        assert answers.tolist() == [NAMES[k] for k in shares.argmax(1)]
        np.testing.assert_array_equal(found.predict_classes({"x": x}, batch_size=7), answers)
        encoded = jaxnn.data.apply(data.preprocess, x)
        np.testing.assert_array_equal(found.predict_classes(encoded, preprocessed=True), answers)
        np.testing.assert_array_equal(
            found.predict_classes(jaxnn.data.iterate([{"x": x[:40]}, {"x": x[40:]}])), answers
        )
        assert len(repr(found)) < 400 and "\n" not in repr(found)


def test_plain_flax_reads_it(run, data, folder):
    with np.load(folder / "variables.npz", allow_pickle=False) as arrays:
        variables = unflatten_dict(dict(arrays), sep="/")
    model = jaxnn.nn.MLP((8, 3), activation="tanh", normalization="batch")
    logits = model.apply(variables, data.val["x"], train=False)
    np.testing.assert_allclose(logits, run.predict(data.val), rtol=1e-5, atol=1e-5)


class Own(nn.Module):
    """A model that no bundle holds the code of, with parameters in bfloat16."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3, param_dtype=jnp.bfloat16)(x)


def test_a_model_of_ones_own_is_given_again(data, tmp_path):
    average = jaxnn.optim.parameter_average(0.5)
    recipe = make_recipe(Own(), average=average, compute_dtype="bfloat16")
    run = jaxnn.fit(recipe, data, folder=tmp_path / "run", **ARGUMENTS)
    bundle = jaxnn.load_bundle(run.export(tmp_path / "bundle"))
    assert bundle.params["Dense_0"]["kernel"].dtype == jnp.bfloat16
    with pytest.raises(ValueError, match=r"predict needs the model, .*load_bundle\(folder, model="):
        bundle.predict(data.val)
    for name in ("bundle", "run"):
        again = jaxnn.load_bundle(tmp_path / name, model=Own())
        np.testing.assert_array_equal(again.predict(data.val), run.predict(data.val))
    with pytest.raises(ValueError, match=r"only one of the two has \['params/Dense_1"):
        jaxnn.load_bundle(tmp_path / "bundle", model=jaxnn.nn.MLP((4, 3)))
    with pytest.raises(ValueError, match=r"Dense_0/bias has the shape \(3,\) there, and \(4,\)"):
        jaxnn.load_bundle(tmp_path / "bundle", model=jaxnn.nn.MLP((4,)))


def test_binary_classes_and_scaled_targets(raw, tmp_path):
    x, _ = raw
    yes = (x[:, :1] > 50).astype(np.float32)
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((1,)), jaxnn.losses.sigmoid_cross_entropy, jaxnn.optim.adam(0.05)
    )
    data = replace(jaxnn.data.from_arrays(x, yes, key=0), classes=("no", "yes"))
    run = jaxnn.fit(recipe, data, **ARGUMENTS)
    z = run.predict(x).astype(np.float64)
    np.testing.assert_allclose(run.predict_probabilities(x), 1 / (1 + np.exp(-z)), atol=1e-6)
    assert run.predict_classes(x).tolist() == np.where(z[:, 0] > 0, "yes", "no").tolist()

    target = 1000 + 100 * x[:, :1]
    scaled = jaxnn.data.from_arrays(
        x, target, key=0, preprocess="standardize", preprocess_y="standardize"
    )
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((1,)), jaxnn.losses.squared_error, jaxnn.optim.adam(0.1))
    run = jaxnn.fit(recipe, scaled, epochs=60, batch_size=32, key=0)
    for found in (run, jaxnn.load_bundle(run.export(tmp_path / "bundle"))):
        assert np.abs(found.predict_targets(x) - target).max() < 0.05 * target.std()
    with pytest.raises(ValueError, match=r"loss must be one of softmax.*, got squared_error"):
        run.predict_classes(x)


Z = np.array([[2.0, 1.0, -1.0], [-800.0, 0.5, 800.0]], np.float32)


@pytest.mark.parametrize(
    ("loss", "shares", "answers"),
    [
        (losses.softmax_cross_entropy, np.exp(Z - Z.max(1, keepdims=True)), [0, 2]),
        (losses.negative_log_likelihood, np.exp(np.minimum(Z, 2)), [0, 2]),
        (losses.kl_divergence, np.exp(np.minimum(Z, 2)), [0, 2]),
        (losses.sigmoid_cross_entropy, 1 / (1 + np.exp(-np.clip(Z, -80, 80))), (Z > 0).tolist()),
        (losses.sigmoid_focal, 1 / (1 + np.exp(-np.clip(Z, -80, 80))), (Z > 0).tolist()),
        (losses.hinge, None, (Z > 0).tolist()),
        (losses.squared_error, None, None),
        (lambda z, y: losses.squared_error(z, y), None, None),
    ],
)
def test_how_each_loss_reads_outputs(loss, shares, answers):
    z = np.minimum(Z, 2) if loss in (losses.negative_log_likelihood, losses.kl_divergence) else Z
    if loss is losses.softmax_cross_entropy:
        shares = shares / shares.sum(1, keepdims=True)
    for described in (describe(loss), describe(partial(loss, where=None)), describe(jax.jit(loss))):
        if shares is None:
            with pytest.raises(ValueError, match="loss must be one of softmax"):
                probabilities(described, z)
        else:
            np.testing.assert_allclose(probabilities(described, z), shares, rtol=1e-5, atol=1e-30)
        if answers is None:
            with pytest.raises(ValueError, match="loss must be one of softmax"):
                classes(described, z, None)
        else:
            assert classes(described, z, None).tolist() == answers
            with pytest.raises(ValueError, match="NaN at row 1"):
                classes(described, np.array([[1.0], [np.nan]]), None)


def test_classes_along_another_axis_and_names_of_another_number():
    described = describe(partial(losses.softmax_cross_entropy, axis=1))
    z = np.zeros((2, 3, 4), np.float32)
    z[:, 1] = 1
    assert classes(described, z, NAMES).tolist() == [["middle"] * 4] * 2
    np.testing.assert_allclose(probabilities(described, z).sum(1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="tells 3 classes apart, and the data named 2: a, b"):
        classes(described, z, ("a", "b"))


def test_a_folder_that_holds_something_is_not_written_to(run, folder, tmp_path):
    with pytest.raises(ValueError, match=r"folder must be a new or empty folder.*with a bundle"):
        run.export(folder)
    with pytest.raises(ValueError, match="holds a run"):
        run.export(run.folder)
    with pytest.raises(ValueError, match="folder must hold a bundle or a run, got"):
        jaxnn.load_bundle(tmp_path)


@pytest.mark.parametrize("name", ["bundle.json", "variables.npz", "encoding.json", "encoding.npz"])
def test_damage_anywhere_is_one_clear_error(folder, name):
    path = folder / name
    content = path.read_bytes()
    step = max(len(content) // 40, 1)
    damaged = [content[:position] for position in range(0, len(content) - 1, 4 * step)]
    for position in range(0, len(content), step):
        flipped = bytearray(content)
        flipped[position] ^= 0x10
        damaged.append(bytes(flipped))
    for other in damaged:
        path.write_bytes(other)
        with pytest.raises(ValueError, match=r"(bundle|encoding)\.json cannot be read: "):
            jaxnn.load_bundle(folder)
    path.unlink()
    if name != "bundle.json" and name != "encoding.json":
        with pytest.raises(ValueError, match="cannot be read"):
            jaxnn.load_bundle(folder)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 2}, "its version is 2, and this jaxnn reads 1"),
        ({"format": "other"}, "one line of the format 'jaxnn bundle'"),
        ({"arrays": {"../../outside": {"shape": [3], "dtype": "float32"}}}, "outside"),
        ({"arrays": {"params/Dense_1/bias": {"shape": [4], "dtype": "float32"}}}, "shape"),
        ({"arrays": {"params/Dense_1/bias": {"shape": [3], "dtype": "object"}}}, "object"),
        ({"arrays": [1]}, "cannot be read"),
        ({"inputs": "float32 5"}, "cannot be loaded"),
        ({"inputs": "rubbish"}, "cannot be loaded"),
        ({"key": 3}, "cannot be loaded"),
        ({"key": {"impl": "none", "data": [0, 1]}}, "cannot be loaded"),
        ({"key": {"impl": "threefry2x32", "data": ["a"]}}, "cannot be loaded"),
        ({"rngs": 3}, "cannot be loaded"),
        ({"compute_dtype": "int8"}, "cannot be loaded"),
        ({"model": {"jaxnn.nn.models.mlp.MLP": {"widths": [7, 3]}}}, "only one of the two has"),
    ],
)
def test_facts_of_something_else_are_refused_under_a_right_checksum(folder, changed, message):
    path = folder / "bundle.json"
    facts = json.loads(path.read_text())
    del facts["crc32"]
    path.write_text(sealed({**facts, **changed}))
    with pytest.raises(ValueError, match=message):
        jaxnn.load_bundle(folder)


def test_an_encoding_of_something_else_is_refused_under_a_right_checksum(folder):
    path = folder / "encoding.json"
    facts = json.loads(path.read_text())
    del facts["crc32"]
    for changed in ({"format": 2}, {"classes": [1]}, {"preprocess": {"kind": "os.system"}}):
        path.write_text(sealed({**facts, **changed}))
        with pytest.raises(ValueError, match=r"encoding\.json cannot be read"):
            jaxnn.load_bundle(folder)


def test_a_run_folder_without_an_encoding_is_read_as_before(run, data, tmp_path):
    """As those are that were written before there was one."""
    saved = run.save(tmp_path / "run")
    for name in ("encoding.json", "encoding.npz"):
        (saved / name).unlink()
    loaded = jaxnn.load(saved, make_recipe())
    assert loaded.encoding.is_empty
    assert loaded.evaluate(data.val) == run.evaluate(data.val)


def test_a_resumed_run_keeps_its_encoding(run, data, raw, tmp_path):
    folder = tmp_path / "run"
    bare = jaxnn.data.Data(data.train, data.val)
    jaxnn.fit(make_recipe(), data, folder=folder, **ARGUMENTS)
    resumed = jaxnn.fit(make_recipe(), bare, resume=folder, **(ARGUMENTS | {"epochs": 3}))
    assert resumed.encoding.classes == NAMES
    again = jaxnn.load(folder, make_recipe())
    np.testing.assert_array_equal(again.predict_classes(raw[0]), resumed.predict_classes(raw[0]))
