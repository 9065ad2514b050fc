"""Training: the state, the pure step, the compiled loop, and `fit` around them."""

from jaxnn.train.bundle.bundle import Bundle, load_bundle
from jaxnn.train.bundle.encoding import Encoding
from jaxnn.train.control.early_stopping import EarlyStopping, early_stopping, keep_best
from jaxnn.train.control.protocol import Controller
from jaxnn.train.control.rate import halve_and_go_back, halve_on_rise, plateau
from jaxnn.train.control.stop_when import stop_when
from jaxnn.train.devices import distributed
from jaxnn.train.devices.choose import device_names, unused_accelerator
from jaxnn.train.devices.compilation import use_compilation_cache
from jaxnn.train.devices.placement import Placement, bytes_per_device
from jaxnn.train.devices.pmapped import pmap_step
from jaxnn.train.epochs import Epoch, each_epoch
from jaxnn.train.fitting import fit
from jaxnn.train.observers import Observer
from jaxnn.train.record.history import History
from jaxnn.train.record.records import ChunkRecord, EpochRecord
from jaxnn.train.run import Run, load
from jaxnn.train.step.state import Control, TrainState, init_state
from jaxnn.train.step.step import eval_step, predict_step, train_step
from jaxnn.train.step.trace import ObjectiveProbe, Probe, StepTrace, TapProbe

__all__ = [
    "Bundle",
    "ChunkRecord",
    "Control",
    "Controller",
    "EarlyStopping",
    "Encoding",
    "Epoch",
    "EpochRecord",
    "History",
    "ObjectiveProbe",
    "Observer",
    "Placement",
    "Probe",
    "Run",
    "StepTrace",
    "TapProbe",
    "TrainState",
    "bytes_per_device",
    "device_names",
    "distributed",
    "each_epoch",
    "early_stopping",
    "eval_step",
    "fit",
    "halve_and_go_back",
    "halve_on_rise",
    "init_state",
    "keep_best",
    "load",
    "load_bundle",
    "plateau",
    "pmap_step",
    "predict_step",
    "stop_when",
    "train_step",
    "unused_accelerator",
    "use_compilation_cache",
]
