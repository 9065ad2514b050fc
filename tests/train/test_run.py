"""What a run takes: batches, pairs, streams; and refusals that say what was trained."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

import jaxnn
from jaxnn.metrics.sums import weighted

ARGUMENTS = {"epochs": 1, "batch_size": 32, "key": 0}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5)).astype(np.float32)
    y = x[:, 0].argsort().argsort().astype(np.int32) % 3
    return jaxnn.data.from_arrays(x, y, key=0)


@pytest.fixture(scope="module")
def run(data):
    metrics = {"accuracy": jaxnn.metrics.accuracy, "table": jaxnn.metrics.confusion_matrix}
    recipe = jaxnn.Recipe(
        jaxnn.nn.MLP((8, 3)),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.adam(1e-2),
        metrics=metrics,
    )
    return jaxnn.fit(recipe, data, **ARGUMENTS)


def in_batches(part, *sizes):
    ends = np.cumsum((0, *sizes))
    rows = itertools.starmap(slice, itertools.pairwise(ends))
    return [{name: leaf[r] for name, leaf in part.items()} for r in rows]


class Loader:
    """Pairs of unequal sizes, as a loader of another library gives them."""

    def __init__(self, part):
        self.part = part

    def __iter__(self):
        return iter([(b["x"], b["y"]) for b in in_batches(self.part, 25, 25, 10)])


def test_evaluate_and_predict_take_what_fit_takes(run, data):
    part = data.train
    expected, outputs = run.evaluate(part), run.predict(part["x"])
    for given in (
        part,
        (part["x"], part["y"]),
        (part["x"].tolist(), part["y"].tolist()),
        jaxnn.data.stream(part),
        jaxnn.data.iterate(in_batches(part, 59, 1)),
        lambda: iter(in_batches(part, 20, 20, 20)),
        Loader(part),
    ):
        found = run.evaluate(given, batch_size=60)
        assert found.keys() == expected.keys()
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-6)
        assert found["table"].sum() == 60
        np.testing.assert_allclose(run.predict(given, batch_size=60), outputs, atol=1e-6)
    np.testing.assert_allclose(run.predict(part["x"].tolist()), outputs, atol=1e-6)
    weighted_part = {**part, "weight": np.arange(60.0)}
    np.testing.assert_allclose(
        run.evaluate(jaxnn.data.iterate(in_batches(weighted_part, 13, 47)))["loss"],
        run.evaluate(weighted_part, batch_size=11)["loss"],
        rtol=1e-6,
    )


def test_what_is_refused_names_what_was_trained(run, data):
    x = data.test["x"]
    for given, message in (
        (data, "must be one part of the data, such as data.test, got a Data"),
        (x[0], r"got a single one of shape \(5,\); x\[None\] makes a row of it"),
        (x[:, :4], r"shape that the model was trained on, \(n, 5\), got \(20, 4\)"),
        (x[:, None], r"shape that the model was trained on, \(n, 5\), got \(20, 1, 5\)"),
        ({"z": x}, r'must hold "x", got the keys \[\'z\'\]'),
        (jaxnn.data.iterate([]), "must hold at least one batch, got an empty stream"),
        (np.full((2, 5), 2**40), r"holds 1099511627776 at row 0, column 0, beyond int32"),
        (jaxnn.data.iterate([{"x": x}, {"x": x[:, :4]}]), r"inputs, batch 1.* got \(20, 4\)"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            run.predict(given)
        if not isinstance(given, jaxnn.data.Data):
            with pytest.raises((ValueError, TypeError), match=message):
                run.predict_classes(given)
    with pytest.raises(TypeError, match="got a Data"):
        run.evaluate(data)
    with pytest.raises(ValueError, match=r"data: x must have the shape.*\(n, 5\), got \(20, 4\)"):
        run.evaluate({"x": x[:, :4], "y": data.test["y"]})
    with pytest.raises(ValueError, match="4294967296"):
        run.evaluate({"x": x, "y": np.full(20, 2**32)})
    with pytest.raises(TypeError, match="data must be a batch"):
        run.evaluate(x)


def test_images_of_another_size_are_the_models_to_refuse():
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype(np.float32)
    y = np.arange(8) % 2
    loss, optimizer = jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1)

    def trained(apply):
        recipe = jaxnn.Recipe(
            (lambda key, x: {"w": jax.numpy.ones((1, 2))}, apply), loss, optimizer
        )
        return jaxnn.fit(recipe, {"x": x, "y": y}, epochs=1, batch_size=8, key=0)

    pools = trained(lambda params, x: x.mean((1, 2)) @ params["w"])
    assert pools.predict(x[:, :4, :4]).shape == (8, 2)
    fixed = trained(lambda params, x: x.reshape(-1, 36)[:, :1] @ params["w"])
    with pytest.raises(ValueError, match=r"trained on, \(n, 6, 6, 1\), got \(8, 5, 5, 1\)"):
        fixed.predict(x[:, :5, :5])


def test_dict_inputs_are_told_from_a_batch():
    def apply(params, inputs):
        return inputs["a"] @ params["w"] + inputs["b"]

    model = (lambda key, inputs: {"w": jax.numpy.ones((2, 3))}, apply)
    recipe = jaxnn.Recipe(model, jaxnn.losses.softmax_cross_entropy, jaxnn.optim.sgd(0.1))
    inputs = {"a": np.ones((6, 2), np.float32), "b": np.zeros((6, 3), np.float32)}
    batch = {"x": inputs, "y": np.zeros(6, np.int32)}
    run = jaxnn.fit(recipe, batch, epochs=1, batch_size=6, key=0)
    np.testing.assert_array_equal(run.predict(inputs), run.predict(batch))
    np.testing.assert_array_equal(run.predict(inputs), run.predict((inputs, batch["y"])))
    with pytest.raises(ValueError, match=r"inputs: a must hold examples .* got a single one"):
        run.predict({"a": inputs["a"][0], "b": inputs["b"][0]})
    with pytest.raises(ValueError, match=r"""hold "x" or \['a', 'b'\], got the keys \['a'\]"""):
        run.predict({"a": inputs["a"]})


def test_a_stream_of_bare_arrays_under_an_objective():
    def spread(apply, params, model_state, batch, keys):
        outputs, model_state = apply(params, model_state, batch, keys)
        return weighted(jax.numpy.square(outputs[:, 0])), model_state, {}

    x = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((1,)), objective=spread, optimizer=jaxnn.optim.sgd(0.1))
    run = jaxnn.fit(recipe, x, epochs=1, batch_size=4, key=0)
    expected = np.mean(run.predict(x)[:, 0] ** 2)
    found = run.evaluate(jaxnn.data.iterate([x[:5], x[5:]]))["loss"]
    assert found == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match="got an objective; predict gives the outputs"):
        run.predict_probabilities(x)


def test_each_thing_prints_as_one_short_line(run, data):
    wide = jaxnn.Recipe(
        jaxnn.nn.MLP((8, 3)),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.adam(1e-2),
        average=jaxnn.optim.parameter_average(),
        controllers=(jaxnn.train.early_stopping(3),) * 20,
        metrics={f"metric_{n}" * 20: jaxnn.metrics.accuracy for n in range(40)},
    )
    # "folder" is a long path: nothing is written.
    many = jaxnn.fit(wide, data, **ARGUMENTS)
    for trained in (run, many):
        record = trained.history.epochs[0]
        for thing in (
            trained,
            trained.history,
            trained.history.epochs,
            record,
            trained.state,
            trained.state.control,
            trained.encoding,
            jax.eval_shape(lambda state: state, trained.state),
            next(iter(jaxnn.train.each_epoch(wide, data, **ARGUMENTS))),
            jaxnn.train.ChunkRecord(1, 0, {"loss": np.ones(10**6)}),
            wide,
        ):
            text = repr(thing)
            assert len(text) < 1500 and "\n" not in text, text
    assert "early_stopping" in repr(wide).lower() or "EarlyStopping" in repr(wide)
    assert repr(run).startswith("Run of 1 epochs: val/")
    jax.make_jaxpr(lambda state: (repr(state), state)[1])(run.state)  # traced too


def test_a_notebook_shows_curves_and_escapes_names():
    records = [
        jaxnn.train.EpochRecord(
            n, n, {"train/loss": 10.0 / n**2, "val/loss": np.nan if n == 2 else 5.0, "<b>": 1.0}, {}
        )
        for n in range(1, 400)
    ]
    page = jaxnn.train.History(records)._repr_html_()
    assert page.count("<polyline") == 2 and "logarithmic" in page and "&lt;b&gt;" in page
    assert len(page) < 10_000 and "nan" not in page
    assert "no epoch" in jaxnn.train.History()._repr_html_()
    one = jaxnn.train.History(records[:1])._repr_html_()
    assert "<svg" not in one and "<table>" in one
