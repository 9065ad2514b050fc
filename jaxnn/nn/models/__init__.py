"""Models: logistic regression, multi-layer perceptron, convolutional and residual networks."""

from jaxnn.nn.models.convnet import ConvNet
from jaxnn.nn.models.mlp import MLP, LogisticRegression
from jaxnn.nn.models.resnet import ResNet

__all__ = ["MLP", "ConvNet", "LogisticRegression", "ResNet"]
