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
# # jaxnn: quickstart
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxnn/jaxnn/blob/main/notebooks/quickstart.ipynb)
#
# Train a network on handwritten digits, look at its curves, and try a few settings in one
# compiled program. On a TPU or GPU (*Runtime → Change runtime type*), the same cells run there.

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
# ## Where does it run?

# %%
import jax

import jaxnn

if remedy := jaxnn.train.unused_accelerator():
    raise SystemExit(remedy)
print("jaxnn", jaxnn.__version__, "on", ", ".join(jaxnn.train.device_names()))

# %% [markdown]
# ## Train
#
# A recipe says what is trained; the arguments of `fit` say how long and on which data. The same key
# gives the same run, bit for bit. In a notebook `fit` shows each epoch as it ends.

# %%
recipe = jaxnn.Recipe(
    model=jaxnn.nn.MLP((512, 10), dropout_rate=0.5),
    loss=jaxnn.losses.softmax_cross_entropy,
    optimizer=jaxnn.optim.adamw(1e-3, weight_decay=1e-3),
)
data = jaxnn.data.digits(key=jax.random.key(0))
run = jaxnn.fit(recipe, data, epochs=50, batch_size=64, key=jax.random.key(1))
run.evaluate(data.test)

# %% [markdown]
# ## Curves
#
# The horizontal axis counts epochs. The faint line is the loss of each step, the strong line the
# mean over each epoch.

# %%
jaxnn.report.loss_curve(run.history)

# %%
jaxnn.report.metric_curve(run.history, "accuracy")

# %% [markdown]
# ## Every knob is an array
#
# A function of the knobs declares what can vary. All values of the knobs share one compilation.


# %%
def make_recipe(knobs):
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP((512, 10), dropout_rate=knobs["dropout"]),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(knobs["lr"]),
    )


for lr in (1e-2, 1e-3, 1e-4):
    trial = jaxnn.fit(
        make_recipe, data, knobs={"lr": lr, "dropout": 0.5}, epochs=10, batch_size=64, key=1
    )
    print(f"rate {lr:g}: validation accuracy {trial.history.series('val/accuracy')[-1]:.3f}")

# %% [markdown]
# ## The experiment
#
# `python -m experiments.digits` trains on the digits from a terminal. Its `main` can be called from
# here too. It writes a folder with settings, history, checkpoints and a page.

# %%
from pathlib import Path
from tempfile import mkdtemp

from experiments.digits import Config, main

main(Config(epochs=5, folder=Path(mkdtemp()) / "digits"))
