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
# # jaxnn: populations
#
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/jaxnn/jaxnn/blob/main/notebooks/populations.ipynb)
# [![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)](https://kaggle.com/kernels/welcome?src=https://github.com/jaxnn/jaxnn/blob/main/notebooks/populations.ipynb)
#
# Train many settings of a network at once, in one compiled program: compare them in one table,
# take out the worst early, and let the worst copy the best.
#
# Every cell trains on one device and says so, since Colab's free TPU is a single chip (v5e-1). The
# last section spreads the members over eight devices: on the eight chips of Kaggle's TPU (v5e-8),
# to which the second badge leads, or else in a process of its own with eight CPU devices.

# %% [markdown]
# ## Install
#
# On Colab and Kaggle, the cell clones the repository, installs jaxnn from the clone, and makes its
# programs importable; on Kaggle, switch the notebook's internet on for it. The JAX that is there
# stays in place; the cell checks that it did. Where jaxnn and its programs can be imported already,
# nothing happens.

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
import numpy as np

import jaxnn

if remedy := jaxnn.train.unused_accelerator():
    raise SystemExit(remedy)
print("jaxnn", jaxnn.__version__, "on", ", ".join(jaxnn.train.device_names()))


def say_where(population):
    about = population.config["population"]
    print(f"{about['members']} members trained on {about['devices']} device(s)")


# %% [markdown]
# ## Knobs
#
# A knob is a number of the recipe that may differ between the members of a population, such as a
# learning rate or a dropout rate. The function `make_recipe` builds the recipe of one member from
# its knobs. Widths, depths and the names of activations are no knobs, since they change the
# compiled program; `jaxnn.fit_populations` trains members that differ in them, one group after the
# other.


# %%
def make_recipe(knobs):
    return jaxnn.Recipe(
        model=jaxnn.nn.MLP((64, 10), dropout_rate=knobs["dropout"]),
        loss=jaxnn.losses.softmax_cross_entropy,
        optimizer=jaxnn.optim.adam(knobs["lr"]),
    )


data = jaxnn.data.digits(key=jax.random.key(0))

# %% [markdown]
# ## Train a population
#
# Each array of `knobs` has one value a member; a single number would hold for all of them. Here
# are 16 members: four learning rates with four dropout rates each. They get the same batches and
# the same initial weights, so that they differ by their knobs alone.
#
# `cohort` is the number of members that train side by side. Without it, `fit_population` measures
# which number is the fastest here.

# %%
lr, dropout = np.meshgrid(np.logspace(-4, -1, 4), [0.0, 0.2, 0.4, 0.6])
knobs = {"lr": lr.ravel(), "dropout": dropout.ravel()}
same = {"batch_size": 64, "cohort": 16, "devices": 1}  # for all populations below

population = jaxnn.fit_population(make_recipe, knobs, data, epochs=6, key=1, **same)
say_where(population)

# %% [markdown]
# ## The table
#
# One row a member: its knobs, the epochs that it trained, what ended it, and the last and best
# of each value that was measured. `population.table()` is the same as a NumPy array.

# %%
frame = population.to_pandas()
frame[["lr", "dropout", "epochs", "ended", "val/loss", "val/accuracy"]].sort_values("val/loss")

# %%
population.history.plot("val/accuracy")

# %% [markdown]
# ## The best members
#
# `best` compares members by a value of the record. Each of them is an ordinary run, as `jaxnn.fit`
# would return it: it predicts, evaluates and can be saved.

# %%
for run in population.best(3, by="val/accuracy"):
    accuracy = run.evaluate(data.test)["accuracy"]
    print(f"member {run.config['member']:2}  {run.config['knobs']}  test accuracy {accuracy:.3f}")

# %% [markdown]
# `predict` and `evaluate` of the population compute all members in one program.

# %%
population.predict(data.test["x"]).shape  # members, examples, classes

# %% [markdown]
# ## An ensemble over seeds
#
# `keys=` gives each member a key of its own, from which its initial weights and dropout are drawn.
# The knobs may then be the same for all. The mean of the members' probabilities is often right
# where a single member is not.

# %%
best_knobs = population.best(1, by="val/accuracy")[0].config["knobs"]
ensemble = jaxnn.fit_population(
    make_recipe, best_knobs, data, epochs=6, key=1, keys=range(8), **{**same, "cohort": 8}
)
say_where(ensemble)
probabilities = jax.nn.softmax(ensemble.predict(data.test["x"])).mean(axis=0)
together = np.mean(probabilities.argmax(axis=-1) == data.test["y"])
alone = ensemble.evaluate(data.test)["accuracy"]
print(f"test accuracy: together {together:.3f}, alone {alone.min():.3f} to {alone.max():.3f}")

# %% [markdown]
# ## Shrinking
#
# Most settings show early that they will not win. Successive halving keeps the best of them at
# certain epochs, the rungs: here the better half behind epochs 1, 2 and 4. Those that are taken out
# cost nothing any more, and those that stay train on as if nothing had happened. The program is not
# compiled again.

# %%
halved = jaxnn.fit_population(
    make_recipe,
    knobs,
    data,
    epochs=6,
    key=1,
    shrink=jaxnn.population.successive_halving(2, first=1),
    **same,
)
say_where(halved)
trained = halved.table()["epochs"]
print(f"{trained.sum()} epochs of members instead of {6 * len(halved)}")
halved.to_pandas().groupby("ended").size()

# %% [markdown]
# ## Exploit and explore
#
# In population-based training no member leaves. Behind every second epoch the worst quarter copies
# the weights and the knobs of the best quarter (exploit), and each copied knob is multiplied or
# divided by a factor (explore). So the population finds a schedule of the knobs while it trains.
# `lineage` is the record of who copied whom, and `schedule` lists the knobs that led to a member.

# %%
evolved = jaxnn.fit_population(
    make_recipe,
    knobs,
    data,
    epochs=6,
    key=1,
    evolve=jaxnn.population.exploit_and_explore(
        every=2, perturb={"lr": 1.5, "dropout": 1.2}, bounds={"dropout": (0.0, 0.8)}
    ),
    **same,
)
say_where(evolved)
for event in evolved.lineage:
    copies = [f"{member} copied {parent}" for member, parent in event["parents"].items()]
    print(f"behind epoch {event['epoch']}:", ", ".join(copies))
[winner] = evolved.best(1, by="val/accuracy")
for epoch, values in evolved.schedule(winner.config["member"]):
    print(f"from epoch {epoch}:", {name: round(value, 5) for name, value in values.items()})

# %% [markdown]
# ## Eight devices, and the experiment
#
# `python -m experiments.population_digits` draws 256 settings of learning rate, L2, dropout and
# initial scale, halves them again and again, and writes a folder with a page. The devices share the
# members, and need not talk to each other. Here are 16 settings on eight devices: on the eight
# chips of Kaggle's TPU in this process, or else in a new process, which sees the CPU as eight
# devices. JAX must know that before it begins to work, and in this notebook it works already.

# %%
import os
from pathlib import Path
from tempfile import mkdtemp

from experiments.population_digits import Config, main

small = Config(members=16, epochs=4, cohort=2, best=3, devices=8, folder=Path(mkdtemp()) / "digits")
if jax.device_count() >= 8:
    main(small)
else:
    options = [
        word
        for name in ("members", "epochs", "cohort", "best", "devices", "folder")
        for word in (f"--{name}", str(getattr(small, name)))
    ]
    command = [sys.executable, "-m", "experiments.population_digits", *options]
    places = os.pathsep.join(path for path in sys.path if path)  # where the clone is importable
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": places}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
