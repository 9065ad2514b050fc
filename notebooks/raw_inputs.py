# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # jaxnn: a network that takes raw inputs
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxnn/jaxnn/blob/main/notebooks/raw_inputs.ipynb)
#
# Train a classifier, keep the weights that are best by a metric, look at single classes, and export
# the network with its preprocessing and the names of its classes.

# %% [markdown]
# ## Install
#
# On Colab, the cell clones the repository, installs jaxnn from the clone, and makes its programs
# importable. jaxnn requires nothing newer than what Colab has, so that Colab's own JAX, which is
# built for its TPU or GPU, stays in place; the cell checks that it did. Where jaxnn and its
# programs can be imported already, nothing happens.

# %%
import importlib.util
import subprocess
import sys
from importlib.metadata import version

before = (
    {name: version(name) for name in ("jax", "jaxlib")} if importlib.util.find_spec("jax") else {}
)
if any(importlib.util.find_spec(name) is None for name in ("jaxnn", "experiments")):
    clone = ["git", "clone", "-q", "--depth", "1", "https://github.com/jaxnn/jaxnn", "jaxnn-clone"]
    subprocess.run(clone, check=True)
    install = [sys.executable, "-m", "pip", "install", "-q", "-e", "jaxnn-clone[report]"]
    subprocess.run(install, check=True)
    sys.path.insert(0, "jaxnn-clone")  # pip's own entry counts from the next start of Python
for name, old in before.items():
    assert version(name) == old, (
        f"pip moved {name} from {old} to {version(name)}: restart the runtime"
    )

# %% [markdown]
# ## Raw data in, standardized data inside
#
# `from_arrays` splits the data and fits the preprocessing on the training part. The run keeps what
# was fitted, and the names of the classes.

# %%
import tempfile

import jax
import numpy as np

import jaxnn

print("jaxnn", jaxnn.__version__, "on", ", ".join(jaxnn.train.device_names()))
raw = jaxnn.data.digits(key=jax.random.key(0), preprocess=None)
data = jaxnn.data.digits(key=jax.random.key(0))
data

# %% [markdown]
# ## The best weights, by a metric that knows its direction
#
# A metric carries its direction, so `keep_best` knows that the highest F1 is the best. The run is
# evaluated after every 20 steps, in the middle of epochs too.

# %%
recipe = jaxnn.Recipe(
    model=jaxnn.nn.MLP((100, 10), dropout_rate=0.3),
    loss=jaxnn.losses.softmax_cross_entropy,
    optimizer=jaxnn.optim.adamw(2e-3, weight_decay=1e-3),
    metrics={"accuracy": jaxnn.metrics.accuracy, "f1": jaxnn.metrics.f1},
    controllers=(jaxnn.train.keep_best(monitor="val/f1"),),
)
run = jaxnn.fit(recipe, data, epochs=20, batch_size=64, key=1, evaluate_every_steps=20)
f1 = run.history.step_series("val/f1")
print("evaluated", np.isfinite(f1).sum(), "times; the best F1 was", round(float(np.nanmax(f1)), 3))
run

# %% [markdown]
# ## Raw inputs, names of classes
#
# `predict` takes inputs that are preprocessed as the training part was. `predict_classes` and
# `predict_probabilities` take raw ones.

# %%
names = run.predict_classes(raw.test["x"])
truth = np.asarray(raw.test["y"])
print("test accuracy", np.mean([str(name) == str(y) for name, y in zip(names, truth, strict=True)]))

# %% [markdown]
# ## One folder that can be given away
#
# A bundle holds parameters, preprocessing and names, with checksums, and no code. A model of jaxnn
# is rebuilt from its description; for any other, give `load_bundle(folder, model=…)`.

# %%
folder = run.export(tempfile.mkdtemp() + "/digits")
bundle = jaxnn.load_bundle(folder)
assert (bundle.predict_classes(raw.test["x"]) == names).all()
bundle
