from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental import sparse

from jaxnn.data import (
    Standardization,
    apply,
    fit_pca,
    fit_standardize,
    fit_zca,
    invert,
    load_state,
    save_state,
    standardize,
    unstandardize,
)
from jaxnn.data.preprocess.methods import FITS, STATES, fit_method

RNG = np.random.default_rng(0)
X = RNG.normal(loc=[0, 5, -200], scale=[1, 0.1, 30], size=(500, 3))


def oracle(x):
    x = np.asarray(x, np.float64)
    mean = x.sum(0) / len(x)
    return mean, np.sqrt(((x - mean) ** 2).sum(0) / len(x))


def test_closed_form_and_divisor_n():
    state = fit_standardize(np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 10.0], [6.0, 14.0]]))
    np.testing.assert_array_equal(state.mean, [3, 11])
    np.testing.assert_allclose(state.deviation, [np.sqrt(5), np.sqrt(3)], rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_numpy_statistics_are_float64(dtype):
    x = X.astype(dtype)
    state = fit_standardize(x)
    assert state.mean.dtype == state.deviation.dtype == np.float64
    for got, want in zip(state, oracle(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_small_integers_do_not_wrap_around():
    x = np.array([[200], [0], [100]], np.uint8)
    state = fit_standardize(x)
    np.testing.assert_allclose(state.mean, [100])
    np.testing.assert_allclose(standardize(state, x)[:, 0], np.sqrt(1.5) * np.array([1, -1, 0]))


# Ten times 0.1, divided by 10, is not 0.1: a plain mean leaves a deviation of 1e-17.
@pytest.mark.parametrize("namespace", [np, jnp])
def test_constant_features_become_exactly_zero(namespace):
    x = namespace.asarray(np.column_stack([np.full(10, 0.1), np.arange(10.0)]))
    state = fit_standardize(x)
    assert state.deviation[0] == 1
    np.testing.assert_array_equal(standardize(state, x)[:, 0], np.zeros(10))


def test_a_large_offset_costs_no_digits_in_float32():
    x = np.float32(1e6) + RNG.integers(-8, 8, size=(400, 2)).astype(np.float32)
    mean, deviation = oracle(x)
    want = (x - mean) / deviation
    np.testing.assert_allclose(standardize(fit_standardize(x), x), want, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fit_standardize(jnp.asarray(x)).deviation, deviation, rtol=1e-6)


def test_standardized_part_has_mean_zero_and_deviation_one():
    mean, deviation = oracle(standardize(fit_standardize(X), X))
    np.testing.assert_allclose(mean, 0, atol=1e-13)
    np.testing.assert_allclose(deviation, 1, rtol=1e-13)


def test_another_part_is_measured_by_the_fitted_statistics():
    state = fit_standardize(X[:300])
    mean, deviation = oracle(X[:300])
    np.testing.assert_allclose(standardize(state, X[300:]), (X[300:] - mean) / deviation)


def test_inverse():
    state = fit_standardize(X)
    np.testing.assert_allclose(unstandardize(state, standardize(state, X)), X, rtol=1e-12)
    np.testing.assert_allclose(unstandardize(state, np.zeros((1, 3)))[0], oracle(X)[0])


@pytest.mark.parametrize("namespace", [np, jnp])
@pytest.mark.parametrize(
    ("dtype", "want"),
    [
        (jnp.float32, jnp.float32),
        (jnp.float16, jnp.float16),
        (jnp.bfloat16, jnp.bfloat16),
        (jnp.uint8, jnp.float32),
        (jnp.bool_, jnp.float32),
    ],
)
def test_floating_dtypes_are_kept(namespace, dtype, want):
    x = namespace.asarray([[1, 0], [0, 0], [1, 1]], dtype)
    state = fit_standardize(x)
    z = standardize(state, x)
    assert z.dtype == unstandardize(state, z).dtype == want
    assert isinstance(z, np.ndarray) == (namespace is np)
    np.testing.assert_allclose(z[0, 0].astype(np.float32), 0.5**0.5, rtol=1e-2)


def test_images_are_standardized_pixel_by_pixel():
    images = RNG.normal(3, 2, size=(50, 4, 5))
    flat = images.reshape(50, 20)
    got = standardize(fit_standardize(images), images)
    np.testing.assert_allclose(got.reshape(50, 20), standardize(fit_standardize(flat), flat))


def test_jit_and_vmap_agree_with_numpy():
    sets = X.astype(np.float32).reshape(5, 100, 3)

    @jax.jit
    @jax.vmap
    def fit_and_apply(x):
        state = fit_standardize(x)
        one_by_one = jax.vmap(standardize, in_axes=(None, 0))(state, x)
        return state, one_by_one, unstandardize(state, standardize(state, x))

    states, scaled, restored = fit_and_apply(sets)
    assert isinstance(states, Standardization)
    for i, x in enumerate(sets):
        mean, deviation = oracle(x)
        np.testing.assert_allclose(states.mean[i], mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(states.deviation[i], deviation, rtol=1e-5)
        np.testing.assert_allclose(scaled[i], (x - mean) / deviation, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(restored, sets, rtol=1e-5, atol=1e-5)


def test_state_fitted_on_the_host_serves_on_the_device():
    state = fit_standardize(X)
    on_device = jax.jit(standardize)(state, jnp.asarray(X, jnp.float32))
    assert on_device.dtype == jnp.float32
    np.testing.assert_allclose(on_device, standardize(state, X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.coo_array])
def test_sparse_matrices_are_refused(make):
    state = fit_standardize(np.eye(3))
    matrix = make(np.eye(3))
    for call in (fit_standardize, lambda x: standardize(state, x)):
        with pytest.raises(TypeError, match=r"x must be a dense array, got a c.*toarray"):
            call(matrix)
    with pytest.raises(TypeError, match="z must be a dense array"):
        unstandardize(state, matrix)


def test_jax_sparse_arrays_are_refused():
    with pytest.raises(TypeError, match="x must be a dense array, got a BCOO"):
        fit_standardize(sparse.BCOO.fromdense(jnp.eye(3)))


def test_warns_above_nine_tenths_of_zeros_and_not_at_it():
    x = np.zeros((10, 10))
    x[:, 0] = 1
    fit_standardize(x)
    x[0, 0] = 0
    with pytest.warns(UserWarning, match="91% of the entries of x are 0") as caught:
        fit_standardize(jnp.asarray(x))
    assert caught[0].filename == __file__


def test_other_features_are_refused_where_they_would_broadcast():
    state = fit_standardize(X)
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 3\), got shape \(500, 1\)"):
        standardize(state, X[:, :1])
    with pytest.raises(ValueError, match=r"z must .*shape \(\.\.\., 3\), got shape \(\)"):
        unstandardize(state, 1.0)


def test_what_has_no_statistics_is_refused():
    with pytest.raises(ValueError, match="x must hold at least one example"):
        fit_standardize(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="x holds Inf at row 1, column 0"):
        fit_standardize(jnp.array([[1.0, 2.0], [jnp.inf, 3.0]]))


def test_large_data_in_blocks_is_exact_too():
    # Several blocks, whose moments are merged; the first row lies far off the rest.
    x = RNG.normal(size=(30_001, 7)).astype(np.float32) + np.float32(1000)
    x[0], x[:, 6] = -1e6, 0.1
    state = fit_standardize(x)
    mean, deviation = oracle(x)
    np.testing.assert_allclose(state.mean[:6], mean[:6], rtol=1e-12)
    np.testing.assert_allclose(state.deviation[:6], deviation[:6], rtol=1e-12)
    z = standardize(state, x)
    np.testing.assert_array_equal(z[:, 6], 0)
    want = (x[:, :6] - mean[:6]) / deviation[:6]
    np.testing.assert_allclose(z[:, :6], want, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(unstandardize(state, z), x, rtol=1e-6)


IMAGES = RNG.normal(3, 2, size=(40, 2, 2, 2))
TWO = partial(fit_pca, n_components=2)


@pytest.mark.parametrize("method", [*FITS, TWO])
def test_apply_and_invert_take_every_state(method):
    state = fit_method(method)(IMAGES)
    direct, inverse = STATES[type(state)]
    z = apply(state, IMAGES)
    np.testing.assert_array_equal(z, direct(state, IMAGES))
    np.testing.assert_array_equal(invert(state, z), inverse(state, z))
    if method is not TWO:
        np.testing.assert_allclose(invert(state, z), IMAGES, rtol=1e-10)


@pytest.mark.parametrize("function", [apply, invert, partial(save_state, "nowhere.npz")])
def test_what_is_no_state_is_refused(function):
    arguments = [(1, 2)] if isinstance(function, partial) else [(1, 2), X]
    with pytest.raises(TypeError, match=r"state must be one of Standardization, .* got \(1, 2\)"):
        function(*arguments)


@pytest.mark.parametrize("namespace", [np, jnp])
@pytest.mark.parametrize("method", FITS)
def test_states_come_back_from_disk_to_the_bit(tmp_path, method, namespace):
    state = fit_method(method)(namespace.asarray(IMAGES))
    path = tmp_path / "inputs"
    save_state(path, state)
    loaded = load_state(path)
    assert type(loaded) is type(state)
    for got, want in zip(loaded, state, strict=True):
        assert type(got) is np.ndarray and got.dtype == want.dtype and got.shape == want.shape
        assert got.tobytes() == np.asarray(want).tobytes()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mean": np.ones(2)}, "must be a file written by save_state"),
        ({"state": "Centering", "mean": np.ones(2), "more": np.ones(2)}, "written by save_state"),
        ({"state": "ndarray", "mean": np.ones(2)}, "written by save_state"),
        ({"state": np.array(None, object), "mean": np.ones(2)}, "state holds Python objects"),
        ({"state": "Centering", "mean": np.array([np.nan])}, "arrays do not fit each other"),
        ({"state": "Centering", "mean": np.array(["a"])}, "arrays do not fit"),
        ({"state": "Standardization", "mean": np.ones(2), "deviation": np.ones(3)}, "do not fit"),
        ({"state": "Standardization", "mean": np.ones(2), "deviation": np.zeros(2)}, "do not fit"),
        (fit_pca(X)._asdict() | {"state": "PCA", "mean": np.ones(2)}, "do not fit"),
        (fit_pca(X)._asdict() | {"state": "PCA", "variance": -np.ones(3)}, "do not fit"),
        (fit_zca(X)._asdict() | {"state": "ZCA", "eps": np.ones(3)}, "do not fit"),
    ],
)
def test_other_files_are_no_states(tmp_path, arrays, message):
    path = tmp_path / "inputs.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=f"inputs.npz.*{message}"):
        load_state(path)
