"""Reports for people: a progress bar, curves, and a page for each run and each population.

Importing this loads neither matplotlib, jinja2 nor rich; each is loaded where it is used.
"""

from jaxnn.report.album import write_album
from jaxnn.report.batches import augmentation_figure
from jaxnn.report.figures import loss_curve, metric_curve
from jaxnn.report.page import Page, render
from jaxnn.report.population.page import PopulationPage, write_population_page
from jaxnn.report.progress.bar import Progress
from jaxnn.report.style import svg
from jaxnn.train.observers import shows_by_default

__all__ = [
    "Page",
    "PopulationPage",
    "Progress",
    "augmentation_figure",
    "loss_curve",
    "metric_curve",
    "render",
    "svg",
    "write_album",
    "write_population_page",
]

shows_by_default(Progress)
