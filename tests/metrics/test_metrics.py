"""Every metric against NumPy, over any partition of the data, padded with NaN."""

from __future__ import annotations

import inspect
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from metric_table import LABELS, LOGITS, METRICS, WEIGHT, N, Y, r2

from jaxnn import metrics
from jaxnn.metrics import add, ratio, result, total
from jaxnn.metrics.sums import as_pairs


def test_every_metric_is_in_the_table():
    """A metric is a public function of outputs, targets and weight."""
    functions = {name: getattr(metrics, name) for name in metrics.__all__}
    public = {
        function
        for function in functions.values()
        if inspect.isfunction(function)
        and list(inspect.signature(function).parameters)[1:3] in TARGETS_AND_WEIGHT
    }
    tested = {getattr(metric, "func", metric) for metric, *_ in METRICS.values()}
    assert tested == public


# All metrics of the table in one program: compiling is what takes time here.
@jax.jit
def measure(batches):
    return as_pairs({name: METRICS[name][0](*batch) for name, batch in batches.items()})


@jax.jit
def merged(a, b):
    return {name: add(a[name], b[name]) for name in a}


@jax.jit
def results(sums):
    return {name: result(parts) for name, parts in sums.items()}


def assert_results(sums, expected):
    found = results(sums)
    assert set(found) == set(expected) == set(METRICS)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-6, err_msg=name)


TARGETS_AND_WEIGHT = (["labels", "weight"], ["targets", "weight"])


def test_any_partition_gives_the_formula_of_the_whole():
    """Ragged parts, padded to one shape with rows of weight 0 that hold NaN, or no class."""
    expected = {
        name: formula(outputs, targets, WEIGHT)
        for name, (_, outputs, targets, formula) in METRICS.items()
    }

    def padded(name, rows):
        _, outputs, targets, _ = METRICS[name]
        fill = N - len(rows)
        nothing = np.nan if targets.dtype == np.float32 else targets.dtype.type(-1)
        return (
            np.concatenate(
                [outputs[rows], np.full((fill, *outputs.shape[1:]), np.nan, np.float32)]
            ),
            np.concatenate([targets[rows], np.full((fill, *targets.shape[1:]), nothing)]),
            np.concatenate([WEIGHT[rows], np.zeros(fill, np.float32)]),
        )

    cuts = ([], [1, 2, 3], [0, 17, 17, 59], range(5, N, 5))
    for parts in (np.split(np.arange(N), cut) for cut in cuts):
        measured = [measure({name: padded(name, rows) for name in METRICS}) for rows in parts]
        assert_results(reduce(merged, measured), expected)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *measured)
    assert_results({name: total(sums) for name, sums in stacked.items()}, expected)


def test_without_weight_all_count_once():
    batches = {name: (outputs, targets) for name, (_, outputs, targets, _) in METRICS.items()}
    expected = {
        name: formula(outputs, targets, np.ones(N))
        for name, (_, outputs, targets, formula) in METRICS.items()
    }
    assert_results(measure(batches), expected)


@pytest.mark.parametrize("name", ["top_2", "confusion", "mse", "r2", "f1 each", "roc"])
def test_per_token(name):
    """(n, tokens) of them are n · tokens examples, (n, tokens, outputs) too."""
    metric, outputs, targets, formula = METRICS[name]
    cut = lambda a: a.reshape(12, 5, *a.shape[1:])  # noqa: E731
    found = result(jax.jit(metric)(cut(outputs), cut(targets), cut(WEIGHT)))
    np.testing.assert_allclose(found, formula(outputs, targets, WEIGHT), rtol=2e-6)


def test_one_hot_and_soft_labels_count_as_their_largest():
    soft = (0.7 * np.eye(4)[LABELS] + 0.075).astype(np.float32)
    for name in ("accuracy", "top_2", "confusion", "calibration"):
        metric = jax.jit(METRICS[name][0])
        jax.tree.map(np.testing.assert_array_equal, metric(LOGITS, soft), metric(LOGITS, LABELS))


def test_of_equal_logits_lower_classes_come_first():
    logits = jnp.asarray([[1.0, 1, 1, 1], [0, 2, 2, 2], [2, 0, 2, 1]])
    by_hand = {1: [[0], [1], [0]], 2: [[0, 1], [1, 2], [0, 2]], 4: [range(4)] * 3}
    for k, best in by_hand.items():
        for label in range(4):
            labels = jnp.full(3, label)
            expected = sum(label in row for row in best)
            assert metrics.top_k_accuracy(logits, labels, k=k)[0] == expected
    assert metrics.accuracy(logits, jnp.asarray([0, 1, 0]))[0] == 3
    np.testing.assert_array_equal(
        metrics.confusion_matrix(logits, jnp.asarray([3, 3, 3])).result()[3], [2, 1, 0, 0]
    )


@pytest.mark.parametrize("label", [-1, 4, 255])
def test_a_label_that_is_no_class_is_never_right_and_counted_nowhere(label):
    logits, labels = jnp.asarray(LOGITS[:3]), jnp.asarray([label, label, 2])
    assert metrics.top_k_accuracy(logits, labels, k=4)[0] == 1
    counts = metrics.confusion_matrix(logits, labels).result()
    assert counts.sum() == counts[2].sum() == 1


def test_the_share_explained_of_what_does_not_vary():
    """As in scikit-learn: 1 where all is right, else 0; no rounding of a mean decides."""
    y, ones = np.full(7, 0.1, np.float32), np.ones(7, np.float32)
    broken = np.where(np.arange(7) == 3, np.nan, y)
    measure = jax.jit(metrics.r2)
    parts = add(measure(y, y, ones * (np.arange(7) < 3)), measure(y, y, ones * (np.arange(7) > 2)))
    assert parts.spread == 0 and parts.result() == 1
    assert measure(y + 1, y, ones).result() == 0
    assert np.isnan(measure(y, y, 0 * ones).result())  # nothing counted
    assert np.isnan(measure(broken, y, ones).result())
    assert np.isnan(measure(y, broken, ones).result())


def test_many_batches_far_from_0_keep_their_digits():
    """3000 merges in float32, against float64: 10⁴ ± 1 has 4 digits after the point."""
    rng = np.random.default_rng(1)
    y = (1e4 + rng.normal(size=(3000, 8))).astype(np.float32)
    y[:1000] += 3  # the first batches are not like the rest
    predicted = (y + rng.normal(size=y.shape) / 3).astype(np.float32)
    found = jax.jit(lambda p, y: total(jax.vmap(metrics.r2)(p, y)).result())(predicted, y)
    expected = r2(predicted.ravel(), y.ravel(), np.ones(y.size))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_confidence_on_the_border_of_a_bin_belongs_to_the_lower():
    logits = jnp.asarray([[1.0, 1.0], [1.0, -jnp.inf]])  # confidences of exactly ½ and 1
    found = metrics.calibration_error(logits, jnp.asarray([0, 0]), bins=4)
    np.testing.assert_array_equal(found.weight, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.top_k_accuracy(LOGITS, LABELS, k=5), "number of classes, 4, got 5"),
        (lambda: metrics.top_k_accuracy(LOGITS, LABELS, k=0), "k must be a positive integer"),
        (lambda: metrics.calibration_error(LOGITS, LABELS, bins=0), "bins must be a positive"),
        (lambda: metrics.confusion_matrix(LOGITS, Y), r"labels must have shape \(60,\)"),
        (lambda: metrics.binary_accuracy(LOGITS, LABELS), "targets must have the shape"),
        (lambda: metrics.r2(Y, Y[:, :1]), "targets must have the shape"),
        (lambda: metrics.mean_squared_error(Y, Y[:, 0]), "targets must have the shape"),
        (lambda: metrics.mean_absolute_error(Y[:, 0], Y), "targets must have the shape"),
        (lambda: metrics.r2(Y, Y, WEIGHT[:7]), "weight must have the leading axes"),
        (lambda: metrics.confusion_matrix(LOGITS, LABELS, WEIGHT[:7]), "weight must have the"),
        # A single number has no axis of examples: each example would become an output.
        (lambda: metrics.binary_recall(Y, Y > 0, 2.0), "weight must have the axes of examples"),
        (lambda: metrics.roc_auc(Y[:, 0], np.int32(1)), "targets must have the shape of the sco"),
        (lambda: metrics.ratio((jnp.ones(2), jnp.ones(3))), "a sum and a count of one shape"),
        (lambda: metrics.total((jnp.ones(2), jnp.ones(3))), "a sum and a count of one shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sums_in_half_precision_are_float32():
    half = lambda a: jnp.asarray(a, "bfloat16")  # noqa: E731
    for name, (metric, outputs, targets, _) in METRICS.items():
        targets = half(targets) if targets.dtype == np.float32 else jnp.asarray(targets)
        sums = jax.eval_shape(metric, half(outputs), targets, half(WEIGHT))
        assert {leaf.dtype for leaf in jax.tree.leaves(sums)} == {np.dtype("float32")}, name


def test_an_accumulator_that_is_no_pytree_is_refused():
    class Lost:
        def result(self):
            return 0.0

    with pytest.raises(TypeError, match="metric 'it' must be a registered pytree"):
        as_pairs({"it": Lost()})
    with pytest.raises(TypeError, match="metric 'it' must be a scalar or a pair"):
        as_pairs({"it": (1.0, 2.0, 3.0)})


def test_a_pair_and_a_scalar_are_made_float():
    pairs = as_pairs({"pair": (np.int32(3), True), "bare": 2})
    assert [float(ratio(pairs[name])) for name in ("pair", "bare")] == [3, 2]
    assert {leaf.dtype for leaf in jax.tree.leaves(pairs)} == {np.dtype("float32")}


def test_outputs_that_are_not_finite_get_no_plausible_score():
    """They are counted wrong, or the result is not finite; at weight 0 they do not matter."""
    ones, third = np.ones(N, np.float32), np.arange(N) == 3

    def batches(weight, bad=None):
        spoilt = {}
        for name, (_, outputs, targets, _) in METRICS.items():
            outputs = outputs.copy()
            if bad is not None:
                outputs[third] = bad
            spoilt[name] = (outputs, targets, weight)
        return spoilt

    without = ones * ~third
    expected = {}
    for name, (_, outputs, targets, formula) in METRICS.items():
        real = without.reshape(-1, *[1] * (outputs.ndim - 1))
        expected[name] = formula(np.where(real, outputs, 0), targets, without)
    for bad in (np.nan, np.inf):
        sums, clean = measure(batches(ones, bad)), measure(batches(without, bad))
        assert_results(clean, expected)
        found = results(sums)
        for name in METRICS:
            a, b = sums[name], clean[name]
            wrong = isinstance(a, tuple) and a[0] == b[0] and a[1] > b[1]
            assert wrong or not np.isfinite(found[name]).all(), name
    nothing, huge = (
        results(measure(batches(weight))) for weight in (0 * ones, np.full(N, 3e38, np.float32))
    )
    for name in set(METRICS) - {"confusion"}:
        assert np.isnan(nothing[name]).all(), name
        assert not np.isfinite(huge[name]).all(), name


@pytest.mark.parametrize("name", METRICS)
def test_weights_without_a_finite_sum_and_complex_outputs_are_refused(name):
    metric, outputs, targets, _ = METRICS[name]
    ones = np.ones(N, np.float32)
    for weight, message in (
        (-ones, "finite and at least 0, got -1"),
        (ones * np.inf, "finite and at least 0, got inf"),
        (ones * np.float32(3e38), "a sum that is finite in float32"),
    ):
        with pytest.raises(ValueError, match=f"weight must (be|have) {message}"):
            metric(outputs, targets, weight)
    with pytest.raises(TypeError, match="must hold real numbers, got dtype complex64"):
        metric(jnp.asarray(outputs) * 1j, targets)


def test_every_metric_but_the_matrix_has_a_direction():
    lower = {"nll", "calibration", "mse", "mae", "perplexity"}
    for name, (metric, *_) in METRICS.items():
        expected = "min" if name in lower else None if name == "confusion" else "max"
        assert metrics.direction(metric) == expected, name


@pytest.mark.parametrize("name", ["accuracy", "top_2", "nll", "calibration", "f1", "perplexity"])
def test_masks_and_axes_of_classes(name):
    """What is left out may hold anything, in each of the three ways to say it."""
    metric, outputs, labels, formula = METRICS[name]
    here = np.arange(N) % 3 > 0
    spoilt, ignored = np.where(here[:, None], outputs, np.nan), np.where(here, labels, -100)
    expected = formula(outputs, labels, here.astype(float))
    for settings in ({"where": here}, {"ignore_index": -100}, {"ignore_index": -100, "axis": 0}):
        z = spoilt.T if "axis" in settings else spoilt
        found = result(jax.jit(partial(metric, **settings))(z, ignored))
        np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_narrow_labels_do_not_wrap_and_wide_ones_are_refused():
    logits = np.zeros((2, 256), np.float32)
    logits[1, 255] = 1
    labels = np.array([0, 255], np.uint8)
    assert [float(part) for part in metrics.accuracy(logits, labels)] == [2, 2]
    assert metrics.confusion_matrix(logits, labels).result()[255, 255] == 1
    for metric in (metrics.accuracy, metrics.confusion_matrix, metrics.calibration_error):
        with pytest.raises(ValueError, match=r"labels must hold integers from .* got 4294967296"):
            metric(logits, np.array([0, 2**32]))
        with pytest.raises(TypeError, match="must be integer classes, got float32"):
            metric(logits, np.array([0, 1.5], np.float32))


def test_more_examples_than_places_are_refused_or_nan():
    scores, targets = np.arange(4, dtype=np.float32), np.array([0, 1, 0, 1])
    metric = partial(metrics.roc_auc, capacity=6)
    both = add(metric(scores, targets), metric(scores, targets))
    with pytest.raises(ValueError, match="capacity must be at least the number of examples, 8"):
        both.result()
    assert np.isnan(jax.jit(result)(both))
    with pytest.raises(ValueError, match="capacity must be at least the 4 examples of a batch"):
        metrics.roc_auc(scores, targets, capacity=3)
