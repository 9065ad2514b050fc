"""Data sets, preprocessing and splits, on the host."""

from jaxnn.data.datasets import Data, digits, from_arrays
from jaxnn.data.preprocess import Standardization, fit_standardize, standardize, unstandardize
from jaxnn.data.split import split_indices

__all__ = [
    "Data",
    "Standardization",
    "digits",
    "fit_standardize",
    "from_arrays",
    "split_indices",
    "standardize",
    "unstandardize",
]
