"""PyTorch in eager mode, with its fused Adam and its default number of threads."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.benchmarks.tasks import CLASSES, RATE, Set, Start, Task, Trainer

__all__ = ["make"]


def network(task: Task) -> nn.Module:
    """Build the task's network."""
    if task.depth is not None:
        return ResNet(task.depth)
    layers: list[nn.Module] = []
    features = task.shape[-1]
    for channels in task.channels:
        layers += [nn.Conv2d(features, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        features = channels
    if task.channels:
        layers.append(nn.Flatten())
        for size in task.shape[:2]:
            features *= size >> len(task.channels)
    for width in task.hidden:
        layers += [nn.Linear(features, width), nn.ReLU()]
        if task.dropout is not None:
            layers.append(nn.Dropout(task.dropout))
        features = width
    return nn.Sequential(*layers, nn.Linear(features, CLASSES))


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters."""

    def __init__(self, before: int, features: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, features, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.stride, self.new = stride, features - before

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.stride == 2:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new))
        return F.relu(x + y)


class ResNet(nn.Module):
    """Residual network of 6n + 2 layers."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks, before = [], 16
        for stage, features in enumerate((16, 32, 64)):
            for block in range((depth - 2) // 6):
                blocks.append(Block(before, features, 2 if stage > 0 and block == 0 else 1))
                before = features
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(before, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.bn(self.conv(x))))
        return self.fc(x.mean((2, 3)))


def load(model: nn.Module, task: Task, start: Start) -> None:
    """Start from the task's weights, in PyTorch's order of axes."""
    modules = list(model.modules())
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
    denses = [m for m in modules if isinstance(m, nn.Linear)]
    for layer, given in zip(convolutions, start.layers("Conv"), strict=True):
        _copy(layer.weight, given["kernel"].transpose(3, 2, 0, 1))
        if layer.bias is not None:
            _copy(layer.bias, given["bias"])
    for layer, given in zip(norms, start.layers("BatchNorm"), strict=True):
        _copy(layer.weight, given["scale"])
        _copy(layer.bias, given["bias"])
    for place, (layer, given) in enumerate(zip(denses, start.layers("Dense"), strict=True)):
        kernel = given["kernel"]
        if task.channels and place == 0:  # images are flattened channel by channel here
            shape = [size >> len(task.channels) for size in task.shape[:2]]
            kernel = kernel.reshape(*shape, task.channels[-1], -1)
            kernel = kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[-1])
        _copy(layer.weight, kernel.T)
        _copy(layer.bias, given["bias"])


def _copy(parameter: Tensor, value: np.ndarray) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.array(value, order="C")))


def make(task: Task, data: Set, start: Start) -> Trainer:
    """Make a trainer."""
    return _Loop(task, data, start)


class _Loop:
    def __init__(self, task: Task, data: Set, start: Start) -> None:
        torch.manual_seed(0)
        self._model = network(task).train()
        load(self._model, task, start)
        self.parameters = sum(p.numel() for p in self._model.parameters())
        self._loss = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=RATE, fused=True)
        x = torch.from_numpy(data.x)
        self._x = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
        self._y = torch.from_numpy(data.y.astype(np.int64))
        self._task = task

    def __call__(self) -> float:
        losses = []
        for _ in range(self._task.epochs):
            for rows in torch.randperm(len(self._x)).split(self._task.batch):
                x, y = self._x[rows], self._y[rows]
                self._optimizer.zero_grad()
                loss = self._loss(self._model(x), y)
                loss.backward()
                self._optimizer.step()
                losses.append(loss.detach())
        return float(torch.stack(losses).mean())
