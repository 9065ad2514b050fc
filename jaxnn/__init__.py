"""jaxnn: every training practice of the classic lectures as a pure function on JAX.

A training run is a pure function, `(recipe, data, key) -> (state, history)`:

>>> recipe = Recipe(
...     model=nn.MLP((100, 100, 10), dropout_rate=0.5),
...     loss=losses.softmax_cross_entropy,
...     optimizer=optim.adamw(1e-3, weight_decay=1e-3),
... )
>>> digits = data.digits(key=0)
>>> run = fit(recipe, digits, epochs=3, batch_size=64, key=1)
>>> len(run.history.epochs)
3
"""

from jaxnn import (
    data,
    inspect,
    keys,
    losses,
    metrics,
    nn,
    optim,
    population,
    regularizers,
    report,
    scaling,
    train,
    tree,
)
from jaxnn._version import __version__
from jaxnn.optim import Knob
from jaxnn.population import (
    Population,
    Populations,
    fit_population,
    fit_populations,
    load_population,
)
from jaxnn.recipe import Apply, MakeRecipe, Objective, Recipe
from jaxnn.train import Run, fit, load, load_bundle

__all__ = [
    "Apply",
    "Knob",
    "MakeRecipe",
    "Objective",
    "Population",
    "Populations",
    "Recipe",
    "Run",
    "__version__",
    "data",
    "fit",
    "fit_population",
    "fit_populations",
    "inspect",
    "keys",
    "load",
    "load_bundle",
    "load_population",
    "losses",
    "metrics",
    "nn",
    "optim",
    "population",
    "regularizers",
    "report",
    "scaling",
    "train",
    "tree",
]
