"""What one process compiled, the next one takes from a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jax
import pytest

import jaxnn

PROGRAM = """
import json, sys
from collections import Counter

import jax
import numpy as np
import jaxnn

events = Counter()
jax.monitoring.register_event_listener(lambda name, **_: events.update([name.split("/")[-1]]))
before = jax.config.jax_compilation_cache_dir
jaxnn.train.use_compilation_cache(sys.argv[1])
part = {"x": np.ones((8, 3), np.float32), "y": np.zeros(8, np.int32)}
recipe = jaxnn.Recipe(
    jaxnn.nn.MLP((4, 2)), jaxnn.losses.softmax_cross_entropy, jaxnn.optim.adam(0.01)
)
run = jaxnn.fit(recipe, jaxnn.data.Data(train=part, val=part), epochs=2, batch_size=4, key=0)
weights = jax.tree.map(lambda leaf: leaf.tolist(), run.state.params)
print(json.dumps([before, events["cache_hits"], events["cache_misses"], weights]))
"""


@pytest.mark.slow  # two processes that import and compile
def test_a_second_process_compiles_nothing(tmp_path):
    folder = tmp_path / "deep" / "cache"

    def run():
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": ""}
        command = [sys.executable, "-c", PROGRAM, str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    before, _, misses, weights = run()
    _, hits, misses_again, weights_again = run()
    assert not before  # importing jaxnn sets none
    assert misses > 0
    assert (hits >= misses, misses_again) == (True, 0)
    assert weights_again == weights


def test_a_file_is_refused_and_nothing_is_set(tmp_path):
    path = tmp_path / "file"
    path.touch()
    before = jax.config.jax_compilation_cache_dir
    with pytest.raises(NotADirectoryError, match="must be a folder, got the file"):
        jaxnn.train.use_compilation_cache(path)
    assert jax.config.jax_compilation_cache_dir == before
