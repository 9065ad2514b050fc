"""Populations: many settings of a recipe trained in one program."""

from jaxnn.population.fit import fit_population
from jaxnn.population.groups import Populations, fit_populations
from jaxnn.population.hypergradient import hypergradient
from jaxnn.population.loading import load_population
from jaxnn.population.population import Population
from jaxnn.population.prepare.devices import cores_as_devices
from jaxnn.population.rules.evolution import ExploitAndExplore, exploit_and_explore
from jaxnn.population.rules.replaying import replay, scheduled
from jaxnn.population.rules.shrinking import (
    MedianStopping,
    SuccessiveHalving,
    median_stopping,
    successive_halving,
)

__all__ = [
    "ExploitAndExplore",
    "MedianStopping",
    "Population",
    "Populations",
    "SuccessiveHalving",
    "cores_as_devices",
    "exploit_and_explore",
    "fit_population",
    "fit_populations",
    "hypergradient",
    "load_population",
    "median_stopping",
    "replay",
    "scheduled",
    "successive_halving",
]
