"""What a run and a bundle have in common: predictions from preprocessed and from raw inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from jaxnn.arguments import check_flag
from jaxnn.train.bundle.answers import classes, probabilities
from jaxnn.train.bundle.encoding import Encoding
from jaxnn.train.bundle.network import ROWS, Network

__all__ = ["Predictor"]


class Predictor(ABC):
    """Predictions of a trained network.

    `predict` takes inputs as the model took them in training, preprocessed, and gives the model's
    outputs. The other methods take raw inputs, as they were before `jaxnn.data` preprocessed
    them, and give answers; `data.test`, which is preprocessed, with `preprocessed=True`. Without
    preprocessing, raw inputs are those that the model took.
    """

    encoding: Encoding

    def predict(self, x: Any, *, batch_size: int = ROWS) -> Any:
        """Compute the model's outputs for any number of inputs, with dropout off.

        Args:
          x: (n, …), or a pytree of such arrays where the model takes one, preprocessed as the
            training inputs were; or a batch that has them, such as `data.test`; or a stream or
            an iterable of batches, such as a loader. `predict_classes` and its siblings take
            raw inputs.
          batch_size: rows computed at once.

        Returns:
          NumPy arrays (n, …); for a classifier, logits.

        Raises:
          ValueError, TypeError: no rows, NaN or Inf, leaves of different length, one example
            without its axis of rows, or another shape than the model takes.
        """
        return self._network("predict").outputs(x, batch_size)

    def predict_probabilities(
        self, raw: Any, *, preprocessed: bool = False, batch_size: int = ROWS
    ) -> Any:
        """Compute the probability of each class for raw inputs.

        Args:
          raw: (n, …) before preprocessing, which is applied here; or a batch or a stream of
            such.
          preprocessed: whether they are preprocessed already, as `data.test` is.
          batch_size: rows computed at once.

        Returns:
          A NumPy array (n, classes), such as the softmax of the outputs. For a sigmoid loss, of
          the shape of the outputs: the probability of a 1.

        Raises:
          ValueError, TypeError: as in `predict`; or a loss that does not say which probabilities
            the outputs stand for.
        """
        outputs = self._outputs("predict_probabilities", raw, preprocessed, batch_size)
        return probabilities(self._loss(), outputs)

    def predict_classes(
        self, raw: Any, *, preprocessed: bool = False, batch_size: int = ROWS
    ) -> Any:
        """Name the most probable class for raw inputs.

        Args:
          raw: as in `predict_probabilities`.
          preprocessed: as there.
          batch_size: rows computed at once.

        Returns:
          A NumPy array (n,): the names of classes where the data had names (`Data.classes`), else
          their numbers. For a loss of yes or no with several outputs, (n, outputs) booleans.

        Raises:
          ValueError, TypeError: as in `predict_probabilities`; or outputs that are NaN.
        """
        outputs = self._outputs("predict_classes", raw, preprocessed, batch_size)
        return classes(self._loss(), outputs, self.encoding.classes)

    def predict_targets(
        self, raw: Any, *, preprocessed: bool = False, batch_size: int = ROWS
    ) -> Any:
        """Predict the targets of a regression for raw inputs, in the targets' own units.

        Args:
          raw: as in `predict_probabilities`.
          preprocessed: as there.
          batch_size: rows computed at once.

        Returns:
          NumPy arrays (n, …): the outputs, scaled back where `jaxnn.data` scaled the targets.

        Raises:
          ValueError, TypeError: as in `predict`.
        """
        outputs = self._outputs("predict_targets", raw, preprocessed, batch_size)
        return self.encoding.decode(outputs)

    def _outputs(self, method: str, raw: Any, preprocessed: bool, batch_size: int) -> Any:
        network = self._network(method)
        if check_flag("preprocessed", preprocessed):
            return network.outputs(raw, batch_size)
        return network.outputs(raw, batch_size, self.encoding.encode)

    @abstractmethod
    def _network(self, method: str) -> Network:
        """The network that predicts, for the method that needs it."""

    @abstractmethod
    def _loss(self) -> Any:
        """The description of the loss."""
