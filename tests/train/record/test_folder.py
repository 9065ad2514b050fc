"""The run's folder: what is in it, saving, loading, and folders of other runs."""

from __future__ import annotations

import json
import re

import jax
import numpy as np
import pytest
from train_recipes import make_recipe

import jaxnn

KNOBS = {"lr": 0.01, "dropout": 0.5, "l2": 1e-3}


@pytest.fixture
def folder(tiny, maker, tmp_path):
    jaxnn.fit(
        maker,
        tiny,
        epochs=2,
        batch_size=32,
        key=7,
        knobs=KNOBS,
        folder=tmp_path / "run",
        settings={"note": "a ≤ b"},
    )
    return tmp_path / "run"


def test_config_holds_every_setting(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["epochs"] == 2
    assert config["batch_size"] == 32
    assert config["key"] == {"impl": "threefry2x32", "data": [0, 7]}
    assert config["knobs"] == {k: float(np.float32(v)) for k, v in KNOBS.items()}
    assert config["settings"] == {"note": "a ≤ b"}
    assert config["steps_per_epoch"] == 3
    assert config["devices"][0] == "cpu:0 (cpu)"
    assert config["versions"]["jax"] == jax.__version__
    text = json.dumps(config["recipe"])
    assert '"widths": [16, 8, 3]' in text
    assert "jaxnn.optim.adaptive.adam.scale_by_adam" in text
    assert "softmax_cross_entropy" in text
    assert " at 0x" not in text


def test_history_is_a_line_an_epoch_written_as_it_happens(tiny, recipe, tmp_path):
    lines = []

    def count(record):
        lines.append(len((tmp_path / "run/history.jsonl").read_text().splitlines()))

    run = jaxnn.fit(
        recipe, tiny, epochs=3, batch_size=32, key=0, folder=tmp_path / "run", observers=[count]
    )
    assert lines == [1, 2, 3]
    rows = [json.loads(line) for line in (tmp_path / "run/history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["step"] for row in rows] == [3, 6, 9]
    assert [row["train/loss"] for row in rows] == list(run.history.series("train/loss"))


def test_load_gives_the_run_back(folder, tiny, maker, same_bits):
    run = jaxnn.fit(maker, tiny, epochs=2, batch_size=32, key=7, knobs=KNOBS)
    loaded = jaxnn.load(folder, maker)
    same_bits(run.state, loaded.state)
    np.testing.assert_array_equal(run.predict(tiny.val["x"]), loaded.predict(tiny.val["x"]))
    assert run.evaluate(tiny.val) == loaded.evaluate(tiny.val)
    assert loaded.history.step_series("loss").shape == (6,)
    assert loaded.config["settings"] == {"note": "a ≤ b"}


def test_save_writes_what_load_reads(tiny, recipe, tmp_path, same_bits):
    run = jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=jax.random.key(3, impl="rbg"))
    assert run.folder is None
    assert run.save(tmp_path / "kept") == tmp_path / "kept"
    loaded = jaxnn.load(tmp_path / "kept", recipe)
    same_bits(run.state, loaded.state)
    assert str(jax.random.key_impl(loaded.state.key)) == "rbg"
    with pytest.raises(ValueError, match="must be a new or empty folder"):
        run.save(tmp_path / "kept")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax, failing
def test_a_flipped_bit_is_noticed(folder, maker):
    files = [path for path in (folder / "final/leaves").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    raw = bytearray(largest.read_bytes())
    noticed = 0
    for position in range(100, len(raw), len(raw) // 12):
        flipped = bytearray(raw)
        flipped[position] ^= 0x10
        largest.write_bytes(flipped)
        try:
            state = jaxnn.load(folder, maker).state
        except Exception:
            noticed += 1
        else:  # bytes that carry no value, such as padding
            largest.write_bytes(raw)
            original = jaxnn.load(folder, maker).state
            assert all(
                np.array_equal(a, b)
                for a, b in zip(
                    jax.tree.leaves(original.params), jax.tree.leaves(state.params), strict=True
                )
            )
    assert noticed > 0


def fit(recipe, data, **changed):
    arguments = {"epochs": 3, "batch_size": 32, "key": 7, "knobs": KNOBS, **changed}
    return jaxnn.fit(recipe, data, **arguments)


def test_a_folder_that_holds_a_run_is_not_overwritten(folder, tiny, maker):
    before = (folder / "history.jsonl").read_text()
    with pytest.raises(ValueError, match=r"folder must be a new or empty folder.*resume="):
        fit(maker, tiny, folder=folder)
    assert (folder / "history.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"key": 8}, "key/data"),
        ({"batch_size": 16}, "batch_size: 32 there, 16 here"),
        ({"knobs": {**KNOBS, "lr": 0.1}}, "learning_rate: 0.00999999"),
        ({"epochs": 1}, "epochs must be at least the 2"),
    ],
)
def test_resuming_another_run_is_refused(folder, tiny, maker, changed, message):
    before = {path.name: path.read_bytes() for path in folder.glob("*.json*")}
    with pytest.raises(ValueError, match=message):
        fit(maker, tiny, resume=folder, **changed)
    assert before == {path.name: path.read_bytes() for path in folder.glob("*.json*")}


def test_resuming_with_another_recipe_or_other_data_is_refused(folder, tiny):
    def other(knobs):
        recipe = make_recipe(knobs)
        return jaxnn.Recipe(
            jaxnn.nn.MLP((17, 8, 3), dropout_rate=knobs["dropout"]),
            recipe.loss,
            recipe.optimizer,
            recipe.regularizer,
        )

    with pytest.raises(ValueError, match=r"resume must be the folder of the same run.*widths"):
        fit(other, tiny, resume=folder)
    changed = jaxnn.data.Data({**tiny.train, "x": tiny.train["x"] + 1}, tiny.val)
    with pytest.raises(ValueError, match=r"data/train/crc32"):
        fit(lambda knobs: make_recipe(knobs), changed, resume=folder)
    with pytest.raises(ValueError, match=r"recipe must be the recipe of the run.*widths"):
        jaxnn.load(folder, other)


def test_folders_without_a_run_are_refused(tiny, maker, tmp_path):
    for call in (lambda f: jaxnn.load(f, maker), lambda f: fit(maker, tiny, resume=f)):
        with pytest.raises(
            ValueError, match="must be the folder of a run, got " + re.escape(str(tmp_path))
        ):
            call(tmp_path)
    with pytest.raises(ValueError, match="not both"):
        fit(maker, tiny, folder=tmp_path / "a", resume=tmp_path / "b")


def test_load_refuses_a_recipe_that_differs_in_no_shape(tiny, recipe, tmp_path):
    run = jaxnn.fit(recipe, tiny, epochs=1, batch_size=32, key=0)
    run.save(tmp_path / "run")
    other = jaxnn.Recipe(
        jaxnn.nn.MLP((16, 8, 3), activation="tanh", dropout_rate=0.5),
        recipe.loss,
        recipe.optimizer,
        recipe.regularizer,
    )
    with pytest.raises(ValueError, match=r"recipe must be the recipe of the run.*activation: relu"):
        jaxnn.load(tmp_path / "run", other)
    with pytest.raises(ValueError, match="nothing to go on from"):
        jaxnn.fit(recipe, tiny, epochs=2, batch_size=32, key=0, resume=tmp_path / "run")
    assert len((tmp_path / "run/history.jsonl").read_text().splitlines()) == 1


def test_a_result_of_fewer_epochs_is_not_served_for_the_longer_run(tiny, recipe, tmp_path):
    arguments = {"batch_size": 32, "key": 0}
    jaxnn.fit(recipe, tiny, epochs=1, folder=tmp_path / "run", **arguments)

    def kill(record):
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        jaxnn.fit(recipe, tiny, epochs=5, resume=tmp_path / "run", observers=[kill], **arguments)
    with pytest.raises(ValueError, match="cut short"):
        jaxnn.load(tmp_path / "run", recipe)


def test_settings_that_json_cannot_write_leave_no_folder(tiny, recipe, tmp_path):
    with pytest.raises(TypeError, match="settings must be what json can write"):
        jaxnn.fit(
            recipe,
            tiny,
            epochs=1,
            batch_size=32,
            key=0,
            folder=tmp_path / "run",
            settings={"path": tmp_path},
        )
    assert not (tmp_path / "run").exists()


def test_a_state_of_another_recipe_is_refused(tiny, recipe):
    other = jaxnn.Recipe(recipe.model, recipe.loss, jaxnn.optim.sgd(0.1))
    state = jaxnn.train.init_state(other, 0, tiny.train)
    with pytest.raises(ValueError, match="state must be of this recipe, whose opt_state"):
        jaxnn.fit(recipe, tiny, epochs=1, batch_size=32, key=0, state=state)
