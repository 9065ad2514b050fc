"""Training: the state, the pure step, the compiled loop, and `fit` around them."""

from jaxnn.train.compilation import use_compilation_cache
from jaxnn.train.control import EarlyStopping, early_stopping
from jaxnn.train.devices import device_names, unused_accelerator
from jaxnn.train.epochs import Epoch, epochs
from jaxnn.train.fit import fit
from jaxnn.train.hardware import H100, H100_CLUSTER, Chip, Interconnect
from jaxnn.train.history import EpochRecord, History
from jaxnn.train.placement import Placement, bytes_per_device
from jaxnn.train.pmapped import pmap_step
from jaxnn.train.protocols import Controller, Observer, Probe, StepTrace
from jaxnn.train.rate_control import halve_and_go_back, halve_on_rise, plateau
from jaxnn.train.run import Run, load
from jaxnn.train.scaling import ScalingRow, StepCost, estimate_scaling, step_cost
from jaxnn.train.state import Control, TrainState, init_state
from jaxnn.train.step import eval_step, predict_step, train_step

__all__ = [
    "H100",
    "H100_CLUSTER",
    "Chip",
    "Control",
    "Controller",
    "EarlyStopping",
    "Epoch",
    "EpochRecord",
    "History",
    "Interconnect",
    "Observer",
    "Placement",
    "Probe",
    "Run",
    "ScalingRow",
    "StepCost",
    "StepTrace",
    "TrainState",
    "bytes_per_device",
    "device_names",
    "early_stopping",
    "epochs",
    "estimate_scaling",
    "eval_step",
    "fit",
    "halve_and_go_back",
    "halve_on_rise",
    "init_state",
    "load",
    "plateau",
    "pmap_step",
    "predict_step",
    "step_cost",
    "train_step",
    "unused_accelerator",
    "use_compilation_cache",
]
