import jax
import numpy as np
import pytest

from jaxnn.data import split_indices
from jaxnn.keys import stream


def lists(parts):
    return [part.tolist() for part in parts]


@pytest.mark.parametrize(
    ("n", "fractions", "sizes"),
    [
        (10, (0.6, 0.2, 0.2), [6, 2, 2]),
        (1797, (0.6, 0.2, 0.2), [1078, 360, 359]),  # 1078.2, 359.4, 359.4: the tie goes first
        (100, (0.29, 0.71), [29, 71]),  # 0.29 * 100 is below 29 in floating point
        (7, (0.5, 0.25, 0.25), [3, 2, 2]),  # 3.5, 1.75, 1.75
        (10, (1 / 3, 1 / 3, 1 / 3), [4, 3, 3]),
        (10, (0.5, 0.2), [5, 2]),  # three are in no part
        (7, (0.1, 0.1), [1, 1]),  # 0.7, 0.7 and 5.6 in no part
        (3, (1,), [3]),
        (10, (0.7, 0.2, 0.1 + 1e-10), [7, 2, 1]),
    ],
)
def test_sizes_by_largest_remainder(n, fractions, sizes):
    parts = split_indices(n, key=0, fractions=fractions)
    assert [len(part) for part in parts] == sizes
    everything = np.concatenate(parts)
    assert len(np.unique(everything)) == sum(sizes)
    assert everything.min() >= 0 and everything.max() < n


def test_the_draw_is_the_permutation_at_the_address_of_the_split():
    order = jax.random.permutation(stream(jax.random.key(4), "split"), 50)
    np.testing.assert_array_equal(np.concatenate(split_indices(50, key=4)), order)


def test_deterministic_in_the_key_whatever_was_drawn_before():
    first = lists(split_indices(40, key=1))
    split_indices(40, key=2)
    np.random.default_rng(0).normal()
    assert lists(split_indices(40, key=1)) == first
    assert lists(split_indices(40, key=2)) != first


def test_every_kind_of_key_is_the_same_key():
    want = lists(split_indices(40, key=7))
    assert lists(split_indices(40, key=jax.random.key(7))) == want
    assert lists(split_indices(40, key=jax.random.PRNGKey(7))) == want
    with pytest.raises(TypeError, match="key must be one key"):
        split_indices(40, key="seven")


@pytest.mark.parametrize("fractions", [(0.6, 0.2, 0.2), (0.5, 0.3), (1 / 3, 1 / 3, 1 / 3)])
def test_each_class_is_within_one_example_of_its_share(fractions):
    rng = np.random.default_rng(5)
    labels = rng.choice(12, size=997, p=rng.dirichlet(np.ones(12)))
    parts = split_indices(997, key=3, fractions=fractions, labels=labels)
    everything = np.concatenate(parts)
    assert len(np.unique(everything)) == len(everything)
    if sum(fractions) > 0.99:
        assert len(everything) == 997
    for part, fraction in zip(parts, fractions, strict=True):
        for number in np.unique(labels):
            exact = fraction * np.sum(labels == number)
            assert abs(np.sum(labels[part] == number) - exact) < 1
        assert abs(len(part) - fraction * 997) < 12


def test_what_classes_round_away_is_made_up_for():
    # Alone, each class of 3 gives (2, 1, 0) by 1.8, 0.6, 0.6: no test example at all.
    parts = split_indices(300, key=0, labels=np.repeat(np.arange(100), 3))
    assert [len(part) for part in parts] == [180, 60, 60]


def test_every_class_is_trained_on():
    labels = np.repeat(np.arange(30), 2)  # shares of 0.2, 0.9 and 0.9: the first is the smallest
    train, _, _ = split_indices(60, key=0, fractions=(0.1, 0.45, 0.45), labels=labels)
    np.testing.assert_array_equal(np.unique(labels[train]), np.arange(30))


def test_a_share_that_is_whole_stays_so_whatever_is_owed():
    # 0.29 * 100 is below 29 in floating point, and the five classes of 3, by 0.87 each,
    # have given the first part more than its share.
    labels = np.repeat(np.arange(6), [3, 3, 3, 3, 3, 100])
    first, _, _ = split_indices(115, key=0, fractions=(0.29, 0.355, 0.355), labels=labels)
    np.testing.assert_array_equal(np.bincount(labels[first]), [1, 1, 1, 1, 1, 29])


def test_stratified_parts_are_not_sorted_by_class():
    labels = np.repeat([0, 1], 50)
    train, _, _ = split_indices(100, key=0, labels=labels)
    assert np.sum(np.diff(labels[train]) != 0) > 5


def test_names_serve_as_labels_as_numbers_do():
    numbers = np.arange(30) % 3
    names = np.array(["ant", "bee", "cat"])[numbers]
    assert lists(split_indices(30, key=0, labels=names)) == lists(
        split_indices(30, key=0, labels=list(numbers))
    )


@pytest.mark.parametrize(
    ("n", "arguments", "message"),
    [
        (10, {"fractions": (0.8, 0.3)}, r"sum to at most 1, got \(0.8, 0.3\)"),
        (10, {"fractions": (0.8, 0.2 + 1e-6)}, "sum to at most 1"),
        (10, {"fractions": (1.2, -0.2)}, r"numbers above 0, got \(1.2, -0.2\)"),
        (10, {"fractions": (0.5, 0.0)}, "numbers above 0"),
        (10, {"fractions": (0.5, float("nan"))}, "numbers above 0"),
        (10, {"fractions": ()}, "numbers above 0"),
        (10, {"fractions": 0.5}, "numbers above 0"),
        (10, {"labels": np.zeros(9)}, r"labels must have shape \(10,\).*got \(9,\)"),
        (10, {"labels": np.zeros((10, 2))}, r"got \(10, 2\)"),
        (3, {"fractions": (0.9, 0.1)}, "no part empty.*parts of 3, 0 from 3 examples"),
        (
            10,
            {"labels": ["a"] * 9 + ["b"]},
            "at least 2 examples of each class, .* got 1 of class 'b'",
        ),
        (0, {}, "n must be a positive integer, got 0"),
    ],
)
def test_refusals(n, arguments, message):
    with pytest.raises(ValueError, match=message):
        split_indices(n, key=0, **arguments)
