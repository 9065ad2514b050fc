"""Data sets, preprocessing, augmentation and splits."""

from jaxnn.data import augment
from jaxnn.data.datasets import Data, digits, from_arrays, from_parts
from jaxnn.data.files import from_csv, from_npz
from jaxnn.data.folds import k_fold_data, k_fold_indices
from jaxnn.data.image_sets import cifar10, fashion_mnist, mnist
from jaxnn.data.preprocess.components import PCA, fit_pca, pca, unpca
from jaxnn.data.preprocess.images import (
    Centering,
    center,
    fit_channel_mean,
    fit_channel_standardize,
    fit_mean_image,
    uncenter,
)
from jaxnn.data.preprocess.methods import apply, invert
from jaxnn.data.preprocess.standardization import (
    Standardization,
    fit_standardize,
    standardize,
    unstandardize,
)
from jaxnn.data.preprocess.states import load_state, save_state
from jaxnn.data.preprocess.whitening import (
    ZCA,
    Whitening,
    fit_whiten,
    fit_zca,
    unwhiten,
    unzca,
    whiten,
    zca,
)
from jaxnn.data.split import split_indices
from jaxnn.data.streams import iterate, stream

__all__ = [
    "PCA",
    "ZCA",
    "Centering",
    "Data",
    "Standardization",
    "Whitening",
    "apply",
    "augment",
    "center",
    "cifar10",
    "digits",
    "fashion_mnist",
    "fit_channel_mean",
    "fit_channel_standardize",
    "fit_mean_image",
    "fit_pca",
    "fit_standardize",
    "fit_whiten",
    "fit_zca",
    "from_arrays",
    "from_csv",
    "from_npz",
    "from_parts",
    "invert",
    "iterate",
    "k_fold_data",
    "k_fold_indices",
    "load_state",
    "mnist",
    "pca",
    "save_state",
    "split_indices",
    "standardize",
    "stream",
    "uncenter",
    "unpca",
    "unstandardize",
    "unwhiten",
    "unzca",
    "whiten",
    "zca",
]
