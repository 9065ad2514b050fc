from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from sklearn import decomposition

from jaxnn.data import (
    fit_pca,
    fit_standardize,
    fit_whiten,
    fit_zca,
    pca,
    standardize,
    unpca,
    unwhiten,
    unzca,
    whiten,
    zca,
)

RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(6, 6)) * np.array([30, 10, 3, 1, 0.3, 0.1])[:, None]
X = RNG.normal(size=(400, 6)) @ MIX + 100
TEST = RNG.normal(size=(50, 6)) @ MIX + 100

METHODS = [
    (fit_whiten, whiten, unwhiten),
    (fit_zca, zca, unzca),
]
ALL = [(fit_pca, pca, unpca), *METHODS]


def covariance(z):
    z = np.asarray(z, np.float64)
    centered = z - z.mean(0)
    return centered.T @ centered / len(z)


def test_components_and_coordinates_are_scikit_learns():
    oracle = decomposition.PCA(svd_solver="full").fit(X)
    state = fit_pca(X)
    np.testing.assert_allclose(state.mean, oracle.mean_, rtol=1e-13)
    np.testing.assert_allclose(state.variance, oracle.explained_variance_ * 399 / 400, rtol=1e-10)
    signs = np.sign((oracle.components_ * state.components).sum(1))[:, None]
    np.testing.assert_allclose(state.components, oracle.components_ * signs, atol=1e-10)
    np.testing.assert_allclose(pca(state, TEST), oracle.transform(TEST) * signs[:, 0], atol=1e-9)


def test_pca_of_fewer_components_is_their_start_and_inverts_to_the_closest_point():
    state, full = fit_pca(X, 2), fit_pca(X)
    np.testing.assert_array_equal(state.components, full.components[:2])
    np.testing.assert_array_equal(state.variance, full.variance[:2])
    oracle = decomposition.PCA(2, svd_solver="full").fit(X)
    want = oracle.inverse_transform(oracle.transform(TEST))
    np.testing.assert_allclose(unpca(state, pca(state, TEST)), want, rtol=1e-10)


def test_coordinates_are_uncorrelated_with_falling_variance():
    state = fit_pca(X)
    np.testing.assert_allclose(covariance(pca(state, X)), np.diag(state.variance), atol=1e-9)
    assert np.all(np.diff(state.variance) < 0)


@pytest.mark.parametrize(("fit", "transform", "inverse"), METHODS)
def test_whitened_covariance_is_the_identity(fit, transform, inverse):
    z = transform(fit(X, eps=0.0), X)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(covariance(z), np.eye(6), atol=1e-8)


def test_zca_is_the_inverse_square_root_of_the_covariance():
    eps = 0.1
    values, vectors = np.linalg.eigh(covariance(X) + eps * np.eye(6))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    got = zca(fit_zca(X, eps=eps), TEST)
    np.testing.assert_allclose(got, (TEST - X.mean(0)) @ root, rtol=1e-9, atol=1e-9)


def test_whitening_divides_scikit_learns_coordinates():
    eps = 0.1
    oracle = decomposition.PCA(svd_solver="full").fit(X)
    want = oracle.transform(TEST) / np.sqrt(oracle.explained_variance_ * 399 / 400 + eps)
    got = whiten(fit_whiten(X, eps=eps), TEST)
    np.testing.assert_allclose(abs(got), abs(want), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("fit", "transform", "inverse"), ALL)
def test_inverses_invert_what_was_not_fitted_too(fit, transform, inverse):
    state = fit(X)
    np.testing.assert_allclose(inverse(state, transform(state, TEST)), TEST, rtol=1e-10)
    # A single example, and more axes in front.
    np.testing.assert_allclose(transform(state, TEST[3]), transform(state, TEST)[3], atol=1e-9)
    folded = TEST.reshape(5, 10, 6)
    z = transform(state, folded)
    np.testing.assert_allclose(z.reshape(50, 6), transform(state, TEST), atol=1e-9)
    np.testing.assert_allclose(inverse(state, z), folded, rtol=1e-10)


def test_signs_are_fixed_by_the_largest_entry():
    for x in (X, -X, X[::-1]):
        components = fit_pca(x).components
        largest = np.abs(components).argmax(1)
        assert np.all(components[np.arange(6), largest] > 0)
    # Two entries of one size but for rounding: the first decides, in every precision.
    x = np.outer(np.arange(9.0), [-1, 1]) + 1e-9 * RNG.normal(size=(9, 2))
    for data in (x, jnp.asarray(x, jnp.float32)):
        np.testing.assert_allclose(
            fit_pca(data, 1).components, [[0.5**0.5, -(0.5**0.5)]], rtol=1e-5
        )


def test_deviations_far_below_the_largest_are_kept():
    # A covariance matrix would square the ratio of 1e-10, and lose it.
    x = np.column_stack([1e6 * RNG.normal(size=300), 1e-4 * RNG.normal(size=300)])
    z = whiten(fit_whiten(x, eps=0.0), x)
    np.testing.assert_allclose(covariance(z), np.eye(2), atol=1e-5)


DEGENERATE = {
    "constant and dependent features": np.column_stack(
        [X, X[:, 0] - 2 * X[:, 3], np.full(400, 0.1)]
    ),
    "fewer rows than features": X[:4],
    "one row": X[:1],
}


@pytest.mark.parametrize(
    ("name", "namespace", "eps"),
    [
        *((name, np, eps) for name in DEGENERATE for eps in (0.0, 1e-5)),
        ("constant and dependent features", jnp, 0.0),
        ("fewer rows than features", jnp, 0.0),
    ],
)
def test_directions_without_variance_are_not_blown_up(name, namespace, eps):
    x = DEGENERATE[name]
    rank = np.linalg.matrix_rank(x - x.mean(0), tol=1e-9)
    x = namespace.asarray(x)
    single = namespace is jnp
    for fit, transform, inverse in METHODS:
        state = fit(x, eps=eps)
        assert np.count_nonzero(state.variance) == rank
        z = np.asarray(transform(state, x))
        values = np.linalg.eigvalsh(covariance(z))[::-1]
        kept = np.asarray(state.variance[:rank], np.float64)
        want = np.sort(kept / (kept + eps))[::-1]
        np.testing.assert_allclose(values[:rank], want, rtol=1e-2 if single else 1e-8)
        np.testing.assert_allclose(values[rank:], 0, atol=1e-6 if single else 1e-12)
        back = inverse(state, transform(state, x))
        np.testing.assert_allclose(back, x, rtol=1e-10, atol=3e-4 if single else 1e-10)


def test_zca_lets_new_directions_pass_unscaled_and_inverts_them():
    x = np.column_stack([X, np.full(400, 0.1)])
    state = fit_zca(x)
    new = x[:3] + np.array([0, 0, 0, 0, 0, 0, 5.0])
    np.testing.assert_allclose(zca(state, new)[:, 6], 5, rtol=1e-9)
    np.testing.assert_allclose(unzca(state, zca(state, new)), new, rtol=1e-9)


def test_fitted_on_the_training_part_alone():
    z = whiten(fit_whiten(X, eps=0.0), TEST)
    assert np.abs(covariance(z) - np.eye(6)).max() > 0.05


@pytest.mark.parametrize(("fit", "transform", "inverse"), ALL)
def test_images_are_flattened_and_come_back(fit, transform, inverse):
    images = X.reshape(400, 2, 3, 1)
    state, flat = fit(images), fit(X)
    assert state.mean.shape == (2, 3, 1) and state.components.shape == (6, 2, 3, 1)
    z = transform(state, images)
    assert z.shape == ((400, 2, 3, 1) if fit is fit_zca else (400, 6))
    np.testing.assert_allclose(z.reshape(400, 6), transform(flat, X), atol=1e-9)
    np.testing.assert_allclose(inverse(state, z), images, rtol=1e-10)


def test_blocks_of_rows_are_the_whole():
    x = RNG.normal(size=(36_000, 30)).astype(np.float32) * np.arange(1, 31) + 50
    state = fit_whiten(x, eps=0.0)  # in QR's blocks and in those of the product
    values = np.linalg.eigvalsh(covariance(x))[::-1]
    np.testing.assert_allclose(state.variance, values, rtol=1e-8)
    np.testing.assert_allclose(covariance(whiten(state, x)), np.eye(30), atol=1e-5)


@pytest.mark.parametrize(("fit", "transform", "inverse"), ALL)
def test_jit_and_vmap_agree_with_numpy(fit, transform, inverse):
    sets = X[:, :3].astype(np.float32).reshape(4, 100, 3)

    @jax.jit
    @jax.vmap
    def fit_and_apply(x):
        state = fit(x)
        z = jax.vmap(transform, in_axes=(None, 0))(state, x)
        return z, inverse(state, z)

    z, restored = fit_and_apply(sets)
    for i, x in enumerate(sets):
        want = transform(fit(x), x)
        assert want.dtype == z.dtype == np.float32
        np.testing.assert_allclose(z[i], want, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(restored, sets, rtol=1e-5)


def test_eps_is_an_axis_of_vmap():
    eps = jnp.array([0.0, 0.1, 10.0])
    for fit, transform, _ in METHODS:
        got = jax.jit(jax.vmap(lambda e, f=fit, t=transform: t(f(X, eps=e), TEST)))(eps)
        for i, value in enumerate((0.0, 0.1, 10.0)):
            want = transform(fit(X, eps=value), TEST)
            np.testing.assert_allclose(got[i], want, rtol=1e-3, atol=1e-4)


def test_states_of_the_host_serve_on_the_device_in_float32(x64):
    x = jnp.asarray(TEST, jnp.float32)
    for fit, transform, inverse in ALL:
        state = fit(X)
        z = jax.jit(transform)(state, x)
        assert z.dtype == inverse(state, z).dtype == jnp.float32
        np.testing.assert_allclose(z, transform(state, TEST), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("namespace", [np, jnp])
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.uint8])
def test_dtypes(namespace, dtype):
    x = namespace.asarray(np.clip(X - 50, 0, 200).round(), dtype)
    for fit, transform, inverse in ALL:
        state = fit(x)
        z = transform(state, x)
        want = jnp.float32 if dtype == jnp.uint8 else dtype
        assert z.dtype == inverse(state, z).dtype == want
        assert isinstance(z, np.ndarray) == (namespace is np)
        wide = transform(state, np.asarray(x, np.float32))
        np.testing.assert_allclose(z.astype(np.float32), wide, rtol=1e-2, atol=2e-2)


def test_one_feature_that_is_a_plain_number():
    x = np.array([1.0, 3.0, 5.0, 9.0])
    for fit, transform, inverse in METHODS:
        state = fit(x, eps=0.0)
        z = transform(state, x)
        np.testing.assert_allclose(z.reshape(4), standardize(fit_standardize(x), x), rtol=1e-12)
        np.testing.assert_allclose(inverse(state, z), x, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (partial(fit_pca, X, 7), ValueError, r"at most min\(examples, features\) = 6, got 7"),
        (partial(fit_pca, X[:3], 4), ValueError, "= 3, got 4"),
        (partial(fit_whiten, X, 0), ValueError, "n_components must be a positive integer, got 0"),
        (partial(fit_whiten, X, eps=-1.0), ValueError, r"eps must be in \[0, inf\), got -1.0"),
        (partial(fit_zca, X, eps=-1.0), ValueError, "eps must be in"),
        (partial(fit_zca, np.array([[np.nan]])), ValueError, "x holds NaN at row 0, column 0"),
        (partial(fit_pca, scipy.sparse.eye(3, format="csr")), TypeError, "x must be a dense"),
        (
            lambda: pca(fit_pca(X), X[:, :5]),
            ValueError,
            r"x must .* \(\.\.\., 6\), got .*\(400, 5\)",
        ),
        (lambda: unpca(fit_pca(X, 2), X), ValueError, r"z must .* \(\.\.\., 2\), got .*\(400, 6\)"),
        (lambda: unwhiten(fit_whiten(X), 1.0), ValueError, r"\(\.\.\., 6\), got shape \(\)"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
