"""Residual networks for images (He et al. 2015); module and parameter names are torchvision's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .examples import example_inputs
from .sizes import require_sizes


def _convolution(channels: int, filters: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the image size at stride 1; batch norm follows, so a bias would be lost."""
    return nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2, bias=False)


def _shortcut(channels: int, filters: int, stride: int) -> nn.Sequential | None:
    """Bring the block's input to the shape of its output; nothing where it already has that shape."""
    if stride == 1 and channels == filters:
        return None
    return nn.Sequential(_convolution(channels, filters, 1, stride), nn.BatchNorm2d(filters))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width, stride)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` in and out; the stride divides height and width."""
        inner = self.relu(self.bn1(self.conv1(images)))
        inner = self.bn2(self.conv2(inner))
        inner += images if self.downsample is None else self.downsample(images)
        activated: Tensor = self.relu(inner)
        return activated


class Bottleneck(nn.Module):
    """A 3×3 convolution between two 1×1 ones, the last four times as wide; the stride sits on the 3×3."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        filters = width * self.expansion
        self.conv1 = _convolution(channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, filters, 1)
        self.bn3 = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels, filters, stride)

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` in and out; the stride divides height and width."""
        inner = self.relu(self.bn1(self.conv1(images)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        inner += images if self.downsample is None else self.downsample(images)
        activated: Tensor = self.relu(inner)
        return activated


def _stage(block: type[BasicBlock | Bottleneck], channels: int, width: int, count: int, stride: int) -> nn.Sequential:
    """``count`` blocks, of which the first changes image size and channels."""
    rest = [block(width * block.expansion, width, 1) for _ in range(count - 1)]
    return nn.Sequential(block(channels, width, stride), *rest)


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, mean over the image, one linear layer."""

    def __init__(
        self, block: type[BasicBlock | Bottleneck], blocks: tuple[int, int, int, int], num_classes: int, width: int
    ) -> None:
        super().__init__()
        require_sizes(num_classes=num_classes, width=width)
        self.conv1 = _convolution(3, width, 7, 2)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        # Every stage but the first halves the image and doubles the channels.
        self.layer1 = _stage(block, width, width, blocks[0], 1)
        self.layer2 = _stage(block, width * block.expansion, 2 * width, blocks[1], 2)
        self.layer3 = _stage(block, 2 * width * block.expansion, 4 * width, blocks[2], 2)
        self.layer4 = _stage(block, 4 * width * block.expansion, 8 * width, blocks[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width * block.expansion, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(batch, 3, height, width)`` to logits ``(batch, num_classes)``."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(features), 1))
        return logits


@example_inputs("1,3,224,224")
def resnet18(num_classes: int = 1000, width: int = 64) -> ResNet:
    """The 18-layer network: 11,689,512 parameters as published."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, width)


@example_inputs("1,3,224,224")
def resnet50(num_classes: int = 1000, width: int = 64) -> ResNet:
    """The 50-layer network of bottleneck blocks: 25,557,032 parameters as published."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, width)
