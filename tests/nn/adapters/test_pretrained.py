"""Parameters from elsewhere: where they go, what is refused, and what the report says."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import assert_same_bits

import jaxnn
from jaxnn.nn.adapters.pretrained import LoadReport, load_pretrained
from jaxnn.tree import path_name

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def layer(n_in, n_out, fill=0.0, dtype=jnp.float32):
    return {"kernel": jnp.full((n_in, n_out), fill, dtype), "bias": jnp.full(n_out, fill, dtype)}


def params():
    return {"Dense_0": layer(4, 3), "Dense_1": layer(3, 2)}


class Theirs(nn.Module):
    """Layers of Flax under other names."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(5, name="first")(x))
        return nn.Dense(2, name="last")(x)


def test_there_and_back_between_flax_layers_and_ours():
    ours, theirs = jaxnn.nn.MLP((5, 2)), Theirs()
    mine = ours.init(jax.random.key(0), X)["params"]
    other = theirs.init(jax.random.key(1), X)["params"]
    names = {"first": "Dense_0", "last": "Dense_1"}
    loaded, report = load_pretrained(mine, other, rename=names)
    assert isinstance(report, LoadReport)
    assert_same_bits(ours.apply({"params": loaded}, X), theirs.apply({"params": other}, X))
    assert report.matched["Dense_0/kernel"] == "first/kernel"
    assert len(report.matched) == 4 and not (report.missing or report.unused or report.cast)
    back, _ = load_pretrained(other, loaded, rename={ours: name for name, ours in names.items()})
    assert_same_bits(back, other)


SOURCE = {"Dense_0": layer(4, 3, 1.0), "Dense_1": layer(3, 2, 2.0)}
FLAT = {path_name(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(SOURCE)}


@pytest.mark.parametrize(
    ("source", "rename"),
    [
        (SOURCE, None),
        (FLAT, None),
        ({"params": SOURCE}, {"params": ""}),
        ({"params": SOURCE, "step": 3}, {"params": "", "step": None}),
        ({f"net/{path}": leaf for path, leaf in FLAT.items()}, lambda path: path[4:]),
        # The longest beginning counts, and one is cut at "/": Dense_1 is none of Dense_10.
        (
            {"a": {"Dense_1": SOURCE["Dense_0"], "Dense_10": SOURCE["Dense_1"]}},
            {"a/Dense_1": "Dense_0", "a": "wrong", "a/Dense_10": "Dense_1"},
        ),
    ],
)
def test_sources_and_renamings(source, rename):
    loaded, report = load_pretrained(params(), source, rename=rename)
    assert_same_bits(loaded, SOURCE)
    assert report.dropped == (("step",) if "step" in source else ())


def test_a_file_without_pickle(tmp_path):
    np.savez(tmp_path / "weights.npz", **FLAT)
    loaded, _ = load_pretrained(params(), tmp_path / "weights.npz")
    assert_same_bits(loaded, SOURCE)
    np.savez(tmp_path / "evil.npz", **{"Dense_0/kernel": np.array([object()])})
    with pytest.raises(ValueError, match="allow_pickle"):
        load_pretrained(params(), str(tmp_path / "evil.npz"))


def test_the_report_says_what_went_where():
    source = {
        "trunk": {"kernel": np.full((4, 3), 0.5), "bias": np.arange(3)},
        "Dense_1": {"kernel": np.ones((3, 7), np.float32)},
        "head": np.ones(2, np.float32),
        "step": np.int32(7),
    }
    rename = {"trunk": "Dense_0", "step": None}
    loaded, report = load_pretrained(
        params(), source, rename=rename, strict=False, allow_mismatch=True
    )
    expected = params()
    expected["Dense_0"] = {"kernel": jnp.full((4, 3), 0.5), "bias": jnp.arange(3.0)}
    assert_same_bits(loaded, expected)
    assert report.matched == {"Dense_0/bias": "trunk/bias", "Dense_0/kernel": "trunk/kernel"}
    assert report.missing == ("Dense_1/bias",)
    assert report.unused == ("head",)
    assert str(report) == (
        "2 loaded\n"
        "  Dense_0/bias from trunk/bias\n"
        "  Dense_0/kernel from trunk/kernel\n"
        "missing in the source\n"
        "  Dense_1/bias\n"
        "unused in the source\n"
        "  head\n"
        "left out by rename\n"
        "  step\n"
        "not fitting\n"
        "  Dense_1/kernel: (3, 7) in the source, (3, 2) here\n"
        "cast\n"
        "  Dense_0/bias: int64 to float32\n"
        "  Dense_0/kernel: float64 to float32"
    )


def test_dtypes_are_those_of_the_parameters():
    half = {"w": jnp.zeros(2, jnp.bfloat16), "n": jnp.zeros(2, jnp.int32)}
    loaded, report = load_pretrained(
        half, {"w": np.array([1.0, 0.1]), "n": np.array([True, False])}
    )
    assert_same_bits(loaded, {"w": jnp.array([1.0, 0.1], jnp.bfloat16), "n": jnp.array([1, 0])})
    assert report.cast == {"w": "float64 to bfloat16", "n": "bool to int32"}


REFUSED = {
    "missing": ({"Dense_0": SOURCE["Dense_0"]}, {}, "paths of the model.*Dense_1/kernel"),
    "unused": ({**SOURCE, "odd": np.ones(1)}, {}, "strict=False allow others.*odd"),
    "shape": (
        {**SOURCE, "Dense_1": layer(3, 4)},
        {"strict": False},
        r"allow_mismatch=True.*Dense_1/kernel: \(3, 4\) in the source, \(3, 2\) here",
    ),
    "complex": (
        {**SOURCE, "Dense_1": layer(3, 2, dtype=jnp.complex64)},
        {},
        "Dense_1/bias: complex64 in the source, float32 here",
    ),
    "text": ({**SOURCE, "Dense_1": {"bias": np.array(["a", "b"])}}, {"strict": False}, "<U1 in"),
    "nothing": ({"params": SOURCE}, {"strict": False}, "a parameter of the model, got none"),
    "rename": (SOURCE, {"rename": {"Dense": "Dense_0"}}, "must name paths .*, got 'Dense'"),
    "collision": (
        SOURCE,
        {"rename": lambda path: "same"},
        "'same' for both 'Dense_0/bias' and 'Dense_0/kernel'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    source, arguments, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        load_pretrained(params(), source, **arguments)


def test_a_loaded_trunk_stays_frozen_and_the_head_learns():
    """Of Adam with decay and momentum, which would move what has no gradient too."""
    x = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)
    data = {"x": x, "y": (x[:, :1] > 0).astype(np.int32)[:, 0]}
    optimizer = jaxnn.optim.freeze("Dense_0", jaxnn.optim.adamw(0.1, weight_decay=0.1))
    recipe = jaxnn.Recipe(jaxnn.nn.MLP((5, 2)), jaxnn.losses.softmax_cross_entropy, optimizer)
    start = jaxnn.train.init_state(recipe, 0, data)
    source = Theirs().init(jax.random.key(3), x)["params"]
    loaded, report = load_pretrained(
        start.params, source, rename={"first": "Dense_0", "last": None}, strict=False
    )
    assert report.missing == ("Dense_1/bias", "Dense_1/kernel")
    state = start.replace(params=loaded)
    run = jaxnn.fit(recipe, data, state=state, epochs=10, batch_size=16, key=0)
    assert_same_bits(run.state.params["Dense_0"], source["first"])
    assert not np.array_equal(run.state.params["Dense_1"]["kernel"], loaded["Dense_1"]["kernel"])
    loss = run.history.series("train/loss")
    assert loss[-1] < 0.7 * loss[0]
