"""A draw has an address: the same in any order, any loop and any process."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.keys import Keys, as_key, stream

ROOT = jax.random.key(0)

# Recorded once. A change here changes every draw of every run that anybody resumes.
RECORDED = {
    (0, "dropout"): [2175092654, 3688024115],
    (0, "dropout", 3): [3934396309, 4162035523],
    (1, "params", 2, 5): [413969152, 2417764726],
}


def data(key):
    return np.asarray(jax.random.key_data(key)).tolist()


@pytest.mark.parametrize("address", RECORDED)
def test_recorded_keys(address):
    seed, *rest = address
    assert data(stream(jax.random.key(seed), *rest)) == RECORDED[address]


def test_the_same_in_another_process():
    program = (
        "import jax; from jaxnn.keys import stream\n"
        f"for seed, *rest in {list(RECORDED)}:\n"
        "    print(jax.random.key_data(stream(jax.random.key(seed), *rest)).tolist())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.split("\n")[:-1] == [str(value) for value in RECORDED.values()]


def test_a_stream_is_a_chain_of_fold_ins():
    hashed = int.from_bytes(hashlib.blake2s("augment/ö".encode(), digest_size=4).digest(), "little")
    key = jax.random.fold_in(ROOT, hashed)
    assert data(stream(ROOT, "augment/ö")) == data(key)
    key = jax.random.fold_in(jax.random.fold_in(key, 7), 11)
    assert data(stream(ROOT, "augment/ö", 7, 11)) == data(key)


def test_no_two_addresses_share_a_key():
    names = ["dropout", "dropout1", "Dropout", "", "params", "shuffle", "split", "augment"]
    indices = [(), *itertools.product(range(12)), *itertools.product(range(12), repeat=2)]
    roots = [jax.random.key(seed) for seed in (0, 1)]
    found = {
        tuple(data(stream(root, name, *index)))
        for root, name, index in itertools.product(roots, names, indices)
    }
    assert len(found) == len(roots) * len(names) * len(indices)


def test_a_draw_does_not_depend_on_the_draws_before_it():
    steps = range(6)
    forwards = {step: float(jax.random.normal(stream(ROOT, "noise", step))) for step in steps}
    backwards = {}
    for step in reversed(steps):
        jax.random.normal(stream(ROOT, "another", step), (3,))
        backwards[step] = float(jax.random.normal(stream(ROOT, "noise", step)))
    assert backwards == forwards
    assert len(set(forwards.values())) == 6


@pytest.mark.parametrize("index", [0, 2**31, 2**32 - 1])
def test_indices_of_any_integer_type_below_2_to_the_32(index):
    expected = data(stream(ROOT, "a", index))
    assert data(stream(ROOT, "a", jnp.uint32(index))) == expected
    assert data(jax.jit(lambda i: stream(ROOT, "a", i))(np.uint32(index))) == expected


def test_keys_in_scan_vmap_and_jit_are_those_outside():
    def draws(keys):
        return jax.random.normal(keys("noise"), (2,)), jax.random.key_data(keys("dropout"))

    outside = [draws(Keys(ROOT, jnp.int32(step))) for step in range(3, 8)]
    expected = jax.tree.map(lambda *leaves: np.stack(leaves), *outside)
    steps = jnp.arange(3, 8, dtype=jnp.int32)
    scanned = jax.lax.scan(lambda c, step: (c, draws(Keys(ROOT, step))), 0, steps)[1]
    mapped = jax.vmap(lambda step: draws(Keys(ROOT, step)))(steps)
    passed = jax.jit(jax.vmap(draws, in_axes=(Keys(None, 0),)))(Keys(ROOT, steps))
    for result in (scanned, mapped, passed):
        jax.tree.map(np.testing.assert_array_equal, result, expected)


def test_vmap_over_roots_is_a_loop_over_roots():
    roots = jax.random.split(jax.random.key(5), 4)
    mapped = jax.vmap(lambda root: jax.random.key_data(Keys(root, jnp.int32(2))("dropout")))(roots)
    np.testing.assert_array_equal(mapped, [data(stream(root, "dropout", 2)) for root in roots])


@pytest.mark.parametrize(
    "given",
    [
        7,
        np.int64(7),
        np.asarray(7),
        jnp.int32(7),
        jax.random.key(7),
        jax.random.PRNGKey(7),
        np.asarray(jax.random.PRNGKey(7)),
    ],
    ids=["int", "numpy", "numpy array", "jax", "typed", "raw", "raw in numpy"],
)
def test_whatever_stands_for_one_key_becomes_it(given):
    key = as_key(given)
    assert key.shape == () and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    assert data(key) == data(jax.random.key(7))


def test_as_key_takes_keys_that_are_traced():
    for key in (jax.random.key(7), jax.random.PRNGKey(7)):
        assert data(jax.jit(as_key)(key)) == data(jax.random.key(7))


def test_as_key_keeps_another_implementation():
    key = jax.random.key(7, impl="rbg")
    assert as_key(key).dtype == key.dtype


@pytest.mark.parametrize(
    "bad",
    [
        1.0,
        np.float32(1),
        True,
        np.True_,
        "7",
        None,
        [0, 7],
        jnp.arange(2),
        jax.random.split(jax.random.key(0), 2),
        jax.random.split(jax.random.PRNGKey(0), 2),
    ],
    ids=lambda bad: type(bad).__name__,
)
def test_anything_else_is_refused(bad):
    with pytest.raises(TypeError, match=r"^key must be one key \(jax.random.key\(0\)\)"):
        as_key(bad)


def test_a_raw_key_of_the_wrong_length_is_refused():
    with pytest.raises(TypeError, match=r"^key must be one key .*got array\(\[0, 0, 0\]"):
        as_key(np.zeros(3, np.uint32))


def test_a_seed_of_more_than_64_bits_is_refused_like_anything_else():
    with pytest.raises(TypeError, match=r"^key must be one key"):
        as_key(2**70)


def test_a_traced_seed_is_refused():
    with pytest.raises(TypeError, match="key must be one key"):
        jax.jit(as_key)(jnp.int32(3))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("seed", "dropout"), TypeError, "root must be one key .*got 'seed'"),
        ((0, b"dropout"), TypeError, "name must be the name of a stream, .*got b'dropout'"),
        ((0, "dropout", 1.5), TypeError, r"index must be one integer .*got 1\.5"),
        ((0, "dropout", True), TypeError, "index must be one integer .*got True"),
        ((0, "dropout", jnp.arange(2)), TypeError, "index must be one integer"),
        ((0, "dropout", -1), ValueError, "index must be one integer from 0 .*got -1"),
        ((0, "dropout", 2**32), ValueError, "index must be one integer .*got 4294967296"),
    ],
)
def test_a_stream_refuses_what_is_no_address(arguments, error, message):
    with pytest.raises(error, match=message):
        stream(*arguments)
