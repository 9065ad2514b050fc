"""Estimates for devices that are not at hand, against hand counts and simulated algorithms."""

from __future__ import annotations

from dataclasses import astuple, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn.scaling import (
    H100_CLUSTER,
    TPU_V5E,
    TPU_V5E_PODS,
    TPU_V6E,
    TPU_V6E_PODS,
    Chip,
    Interconnect,
    ScalingRow,
    estimate_scaling,
    step_cost,
)

CHIP = Chip("chip", flops=1e12, memory_bandwidth=1e11, achieved=0.5)
HOSTS = Interconnect("hosts", 4, 1e9, 1e-6, network_bandwidth=1e8, network_latency=1e-5)
SIZES = (48, 32, 10)
BATCH = {
    "x": jax.ShapeDtypeStruct((256, 64), jnp.float32),
    "y": jax.ShapeDtypeStruct((256,), jnp.int32),
}


def mlp(optimizer, *sizes):
    return jaxnn.Recipe(jaxnn.nn.MLP(sizes), jaxnn.losses.softmax_cross_entropy, optimizer)


@pytest.fixture(scope="module")
def recipe():
    return mlp(jaxnn.optim.adam(1e-3), *SIZES)


@pytest.fixture(scope="module")
def cost(recipe):
    return step_cost(recipe, BATCH)


def ring(parts):
    """Sums (n, n, chunk) around a ring; the sum, chunks that each party sent, and the rounds."""
    n = len(parts)
    parts, rounds = parts.copy(), 0
    for gathering in (False, True):
        for turn in range(n - 1):
            sent = [parts[i, (i - turn + gathering) % n].copy() for i in range(n)]
            for i, chunk in enumerate(sent):
                to, place = (i + 1) % n, (i - turn + gathering) % n
                parts[to, place] = chunk if gathering else parts[to, place] + chunk
            rounds += 1
    return parts, rounds, rounds


def halving_and_doubling(parts):
    """The same by exchanging halves with partners at distances n/2, n/4, …, 1 and back."""
    n = len(parts)
    parts, sent, rounds = parts.copy(), 0, 0
    distances = [n >> k for k in range(1, n.bit_length())]
    for distance in distances:
        before = parts.copy()
        for i in range(n):
            kept = [c for c in range(n) if (c ^ i) < distance]
            parts[i, kept] = before[i, kept] + before[i ^ distance, kept]
        sent, rounds = sent + distance, rounds + 1
    for distance in reversed(distances):
        before = parts.copy()
        for i in range(n):
            theirs = [c for c in range(n) if (c ^ i ^ distance) < distance]
            parts[i, theirs] = before[i ^ distance, theirs]
        sent, rounds = sent + distance, rounds + 1
    return parts, sent, rounds


@pytest.mark.parametrize(("algorithm", "n", "group"), [(ring, 5, 5), (halving_and_doubling, 8, 1)])
def test_all_reduce_costs_what_its_algorithm_does(algorithm, n, group):
    parts = np.random.default_rng(0).integers(0, 100, (n, n, 3))
    summed, chunks, rounds = algorithm(parts)
    np.testing.assert_array_equal(summed, np.broadcast_to(parts.sum(0), parts.shape))
    size = 1e6
    joined = Interconnect("test", group, 2e9, 3e-6, network_bandwidth=2e9, network_latency=3e-6)
    expected = chunks * (size / n) / 2e9 + rounds * 3e-6
    assert joined.all_reduce_seconds(size, n) == pytest.approx(expected, rel=1e-12)


def test_all_reduce_over_groups():
    # In groups of 4: 3/4 of a megabyte each way and 6 hops. Between 8 of them: 7/8 of a quarter
    # of it each way and 2 · 3 hops.
    expected = 2 * 750e3 / 1e9 + 6e-6 + 2 * 218.75e3 / 1e8 + 6e-5
    assert HOSTS.all_reduce_seconds(1e6, 32) == pytest.approx(expected, rel=1e-12)
    assert HOSTS.all_reduce_seconds(1e6, 1) == 0


def test_all_reduce_on_a_torus_takes_the_rings_of_its_axes_in_turn():
    # Ring after ring: the reduce-scatter leaves 1/4, then 1/16 of the data, in 3 hops each.
    torus = Interconnect("test", 16, 1e9, 1e-6, 1e8, 1e-5, torus=2)
    sent, left = 0.0, 1e6
    for _ in range(2):
        sent, left = sent + left * 3 / 4, left / 4
    expected = 2 * sent / 1e9 + 2 * (3 + 3) * 1e-6
    assert torus.all_reduce_seconds(1e6, 16) == pytest.approx(expected, rel=1e-12)
    # 8 devices form 2 × 4, and 7 only a ring.
    assert torus.all_reduce_seconds(0, 8) == pytest.approx(2 * (1 + 3) * 1e-6, rel=1e-12)
    assert torus.all_reduce_seconds(0, 7) == pytest.approx(2 * 6 * 1e-6, rel=1e-12)


@pytest.mark.parametrize(
    ("chip", "pods", "pod_flops", "pod_network"),
    # Of a pod of 256 chips, as Google's tables have it: FLOP/s in bf16, and bits per second.
    [(TPU_V5E, TPU_V5E_PODS, 50.63e15, 6.4e12), (TPU_V6E, TPU_V6E_PODS, 234.9e15, 25.6e12)],
)
def test_chips_add_up_to_their_pod(chip, pods, pod_flops, pod_network):
    assert pods.group * chip.flops == pytest.approx(pod_flops, rel=5e-3)
    assert pods.group * pods.network_bandwidth * 8 == pytest.approx(pod_network, rel=1e-12)
    # Summing a gigabyte in the pod takes no less than sending it twice over all links.
    floor = 2 * 1e9 / pods.link_bandwidth
    assert floor < pods.all_reduce_seconds(1e9, 256) < 1.1 * floor
    assert pods.all_reduce_seconds(1e9, 512) > pods.all_reduce_seconds(1e9, 256)


def test_a_state_that_does_not_fit_is_refused(recipe, cost):
    small = replace(CHIP, memory=cost.state_bytes)
    message = r"chip must have memory for the state and the gradients, .* got chip with"
    with pytest.raises(ValueError, match=message):
        estimate_scaling(recipe, BATCH, (1,), chip=small, interconnect=HOSTS)


def test_operations_of_a_network_of_dense_layers(cost):
    weights = [64 * 48, 48 * 32, 32 * 10]
    products = 2 * 256 * (3 * sum(weights) - weights[0])
    assert products < cost.flops < 1.1 * products  # and a dozen a parameter for Adam
    parameters = sum(weights) + sum(SIZES)
    assert cost.gradient_bytes == 4 * parameters
    assert cost.state_bytes == pytest.approx(12 * parameters, abs=16)  # and a count of steps
    assert cost.examples == 256
    # Read: parameters and moments, written: the same; and the batch at least once.
    assert cost.memory_bytes > 2 * cost.state_bytes + 256 * (64 + 1) * 4


def test_operations_of_a_convolutional_network():
    recipe = jaxnn.Recipe(
        jaxnn.nn.ConvNet(10, channels=(8, 16), hidden=(32,)),
        jaxnn.losses.softmax_cross_entropy,
        jaxnn.optim.sgd(0.1),
    )
    batch = {
        "x": jax.ShapeDtypeStruct((16, 16, 16, 1), jnp.float32),
        "y": jax.ShapeDtypeStruct((16,), jnp.int32),
    }
    # Along an axis of n a window of 3 meets 3n places, two of them padding, left out.
    first = (3 * 16 - 2) ** 2 * 1 * 8
    second = (3 * 8 - 2) ** 2 * 8 * 16
    dense = 4 * 4 * 16 * 32 + 32 * 10
    products = 2 * 16 * (3 * (first + second + dense) - first)
    counted = step_cost(recipe, batch).flops
    assert products <= counted < 1.15 * products


def test_rows_by_hand(recipe, cost):
    rows = estimate_scaling(recipe, BATCH, (1, 32), chip=CHIP, interconnect=HOSTS)
    work = max(cost.flops / 0.5e12, cost.memory_bytes / 0.5e11)
    sums = HOSTS.all_reduce_seconds(cost.gradient_bytes, 32)
    sent = 2 * 31 / 32 * cost.gradient_bytes
    expected = (32, 8192, sent, work, sums, work + sums, work / (work + sums))
    assert astuple(rows[0]) == pytest.approx((1, 256, 0, work, 0, work, 1))
    assert astuple(rows[1]) == pytest.approx(expected)


def test_only_shapes_matter(recipe, cost):
    # float64 is taken as JAX does
    assert step_cost(recipe, {"x": np.full((256, 64), np.nan), "y": np.zeros(256, int)}) == cost


def test_text():
    row = ScalingRow(4096, 33_554_432, 41e6, 12.2e-3, 99e-6, 0.0123, 0.992)
    assert str(row) == "  4,096 devices  41 MB sent  work 12 + sums 0.099 = 12 ms  99%"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (0, "devices must be a positive integer, got 0"),
        (12, "devices must be at most a group of 8, or a multiple of it, got 12"),
    ],
)
def test_refused_counts(devices, message):
    with pytest.raises(ValueError, match=message):
        H100_CLUSTER.all_reduce_seconds(1e6, devices)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(CHIP, flops=0), r"flops must be in \(0, inf\), got 0"),
        (lambda: replace(CHIP, achieved=1.2), r"achieved must be in \(0, 1\], got 1\.2"),
        (lambda: replace(CHIP, memory=0), r"memory must be in \(0, inf\), got 0"),
        (lambda: replace(HOSTS, torus=0), "torus must be a positive integer, got 0"),
        (lambda: replace(HOSTS, group=0), "group must be a positive integer, got 0"),
        (lambda: replace(HOSTS, link_latency=-1), "link_latency must be in"),
        (lambda: replace(HOSTS, network_bandwidth=0.0), "network_bandwidth must be in"),
    ],
)
def test_refused_hardware(make, message):
    with pytest.raises(ValueError, match=message):
        make()
