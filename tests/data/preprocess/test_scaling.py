"""Min-max and robust scaling against scikit-learn, and every state as JSON and arrays."""

from __future__ import annotations

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler

from jaxnn.data import (
    Chain,
    apply,
    describe_preprocess,
    fit_encoding,
    fit_min_max,
    fit_robust,
    invert,
    load_state,
    restore_preprocess,
    save_state,
)
from jaxnn.data.preprocess.methods import FITS, STATES

RNG = np.random.default_rng(0)
X = RNG.normal([0, 5, -200, 1], [1, 0.1, 30, 0], size=(101, 4))  # the last column is constant
OTHER = RNG.normal([0, 5, -200, 1], [1, 0.1, 30, 1], size=(20, 4))
PAIRS = [
    (fit_min_max, MinMaxScaler()),
    (partial(fit_min_max, low=-2.0, high=3.0), MinMaxScaler((-2, 3))),
    (fit_robust, RobustScaler()),
    (partial(fit_robust, low=0.1, high=0.95), RobustScaler(quantile_range=(10, 95))),
]


@pytest.mark.parametrize(("fit", "peer"), PAIRS)
def test_numbers_are_scikit_learns(fit, peer):
    peer.fit(X)
    state = fit(X)
    for x in (X, OTHER):
        np.testing.assert_allclose(apply(state, x), peer.transform(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(invert(state, apply(state, x)), x, rtol=1e-12, atol=1e-12)
    on_device = jax.jit(lambda x, other: apply(fit(x), other))(jnp.asarray(X), jnp.asarray(OTHER))
    want = peer.transform(OTHER)
    assert np.linalg.norm(on_device - want) / np.linalg.norm(want) < 1e-5


def test_knobs_may_be_traced():
    mapped = jax.vmap(lambda high: apply(fit_min_max(jnp.asarray(X), high=high), X[0]))
    highs = jnp.array([1.0, 4.0])
    for got, high in zip(mapped(highs), (1.0, 4.0), strict=True):
        np.testing.assert_allclose(got, apply(fit_min_max(X, high=high), X[0]), rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_min_max(X, 1.0, 1.0), "high must be above low, 1, got 1"),
        (lambda: fit_robust(X, 0.8, 0.2), "high must be above low"),
        (lambda: fit_robust(X, -0.1), r"low must be in \[0, 1\), got -0.1"),
        (lambda: fit_min_max(X, low=[0.0, 1.0]), "low must be one number"),
        (lambda: restore_preprocess({"kind": "Fourier"}, {}), "described by one of .* got 'Four"),
        (lambda: restore_preprocess({"kind": "MinMax"}, {}), "MinMax must have the arrays minimum"),
        (lambda: restore_preprocess({"kind": "Chain", "states": []}, {}), "list of states"),
        (lambda: restore_preprocess({"kind": "TableEncoding"}, {}), "of one length"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


TABLE = {"a": [0.5, None, 0.1], "b": ["é", "x", None], "c": [3, 3, 4]}
ENCODING = fit_encoding(TABLE, categorical=["b"], missing="mean", unknown="zeros")
ALL = [
    *(fit(X.reshape(101, 2, 1, 2)) for fit in FITS.values()),
    fit_min_max(X[:, 0], -1.0),
    ENCODING,
    Chain((ENCODING, fit_robust(apply(ENCODING, TABLE)))),
]


@pytest.mark.parametrize("state", ALL, ids=lambda state: type(state).__name__)
def test_states_come_back_from_json_and_arrays_to_the_bit(tmp_path, state):
    assert {type(state) for state in ALL} == STATES.keys()
    described, arrays = describe_preprocess(state)
    assert all(array.dtype == np.float64 for array in arrays.values())
    save_state(tmp_path / "state.npz", state)
    for back in (
        restore_preprocess(json.loads(json.dumps(described)), arrays),
        load_state(tmp_path / "state.npz"),
    ):
        assert type(back) is type(state)
        assert jax.tree.structure(back) == jax.tree.structure(state)
        for got, want in zip(jax.tree.leaves(back), jax.tree.leaves(state), strict=True):
            assert np.array_equal(got, want) and np.asarray(got).dtype == np.asarray(want).dtype


def test_a_state_of_another_kind_is_refused():
    for kind, functions in STATES.items():
        other = ALL[0] if kind is type(ENCODING) else ENCODING
        for function in functions if kind is not Chain else ():
            with pytest.raises(TypeError, match=f"state must be a {kind.__name__}, as its fit"):
                function(other, X)
