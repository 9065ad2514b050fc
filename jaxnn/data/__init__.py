"""Data sets, preprocessing, augmentation and splits."""

from jaxnn.data import augment
from jaxnn.data.datasets import Data, digits, from_arrays, from_parts
from jaxnn.data.files import from_image_folders, from_npz
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
from jaxnn.data.preprocess.methods import Chain, apply, invert
from jaxnn.data.preprocess.scaling import (
    MinMax,
    Robust,
    fit_min_max,
    fit_robust,
    min_max,
    robust,
    unmin_max,
    unrobust,
)
from jaxnn.data.preprocess.standardization import (
    Standardization,
    fit_standardize,
    standardize,
    unstandardize,
)
from jaxnn.data.preprocess.states import load_state, save_state
from jaxnn.data.preprocess.stored import describe_preprocess, restore_preprocess
from jaxnn.data.preprocess.tables import TableEncoding, decode, encode, fit_encoding
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
from jaxnn.data.tables.csv import from_csv
from jaxnn.data.tables.frames import from_frame

__all__ = [
    "PCA",
    "ZCA",
    "Centering",
    "Chain",
    "Data",
    "MinMax",
    "Robust",
    "Standardization",
    "TableEncoding",
    "Whitening",
    "apply",
    "augment",
    "center",
    "cifar10",
    "decode",
    "describe_preprocess",
    "digits",
    "encode",
    "fashion_mnist",
    "fit_channel_mean",
    "fit_channel_standardize",
    "fit_encoding",
    "fit_mean_image",
    "fit_min_max",
    "fit_pca",
    "fit_robust",
    "fit_standardize",
    "fit_whiten",
    "fit_zca",
    "from_arrays",
    "from_csv",
    "from_frame",
    "from_image_folders",
    "from_npz",
    "from_parts",
    "invert",
    "iterate",
    "k_fold_data",
    "k_fold_indices",
    "load_state",
    "min_max",
    "mnist",
    "pca",
    "restore_preprocess",
    "robust",
    "save_state",
    "split_indices",
    "standardize",
    "stream",
    "uncenter",
    "unmin_max",
    "unpca",
    "unrobust",
    "unstandardize",
    "unwhiten",
    "unzca",
    "whiten",
    "zca",
]
