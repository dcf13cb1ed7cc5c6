"""U-Net for segmentation (Ronneberger et al. 2015): down, up, and a concatenated skip at every scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .examples import example_inputs
from .sizes import require_sizes


class DoubleConvolution(nn.Sequential):
    """Two 3×3 convolutions, each with batch norm and ReLU; height and width stay."""

    def __init__(self, channels: int, filters: int) -> None:
        layers: list[nn.Module] = []
        for in_channels in (channels, filters):
            convolution = nn.Conv2d(in_channels, filters, kernel_size=3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class UNet(nn.Module):
    """``depth`` halvings, each doubling the channels, and as many transposed convolutions back."""

    def __init__(self, channels: int, width: int, depth: int, num_classes: int) -> None:
        super().__init__()
        require_sizes(channels=channels, width=width, depth=depth, num_classes=num_classes)
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(map(DoubleConvolution, [channels, *widths[:-1]], widths))
        self.pool = nn.MaxPool2d(kernel_size=2)
        self.expand = nn.ModuleList(
            nn.ConvTranspose2d(2 * narrow, narrow, kernel_size=2, stride=2) for narrow in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(DoubleConvolution(2 * narrow, narrow) for narrow in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, num_classes, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(batch, channels, height, width)`` to logits ``(batch, num_classes, height, width)``.

        Height and width must be multiples of ``2 ** depth``.
        """
        features, skips = images, []
        for level, convolve in enumerate(self.down):
            features = convolve(features if level == 0 else self.pool(features))
            skips.append(features)
        skips.pop()
        for expand, convolve in zip(self.expand, self.up, strict=True):
            features = convolve(torch.cat((skips.pop(), expand(features)), dim=1))
        logits: Tensor = self.head(features)
        return logits


@example_inputs("1,3,64,64")
def unet(channels: int = 3, width: int = 16, depth: int = 3, num_classes: int = 2) -> UNet:
    """A narrow U-Net."""
    return UNet(channels, width, depth, num_classes)
