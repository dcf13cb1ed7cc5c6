"""Models that fail, each in one honest way: what a clear error message is tried on."""

from __future__ import annotations

from torch import Tensor, nn

from .examples import example_inputs


class _UnfinishedLayer(nn.Module):
    """A layer whose constructor gives up."""

    def __init__(self) -> None:
        super().__init__()
        raise RuntimeError("the codebook file is missing")


@example_inputs("1,16")
def raises_in_init(width: int = 16) -> nn.Module:
    """Raises RuntimeError while the second layer is built."""
    return nn.Sequential(nn.Linear(width, width), _UnfinishedLayer())


class _FailingGate(nn.Module):
    """A layer that raises once it is called."""

    def forward(self, features: Tensor) -> Tensor:
        raise RuntimeError("the gate has no calibration")


class _GatedBlock(nn.Module):
    """A linear layer and a gate."""

    def __init__(self, width: int, gate: nn.Module) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.gate = gate

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, width)`` in and out."""
        gated: Tensor = self.gate(self.linear(features))
        return gated


class _GatedNetwork(nn.Module):
    """Three blocks, of which the second cannot run."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _GatedBlock(width, nn.Sigmoid()), _GatedBlock(width, _FailingGate()), _GatedBlock(width, nn.Sigmoid())
        )

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, width)`` in and out."""
        gated: Tensor = self.blocks(features)
        return gated


@example_inputs("2,16")
def raises_mid_forward(width: int = 16) -> nn.Module:
    """Raises RuntimeError in ``blocks.1.gate``, after three modules have run."""
    return _GatedNetwork(width)


@example_inputs("1,3,224,224")
def needs_another_shape(image_size: int = 32, num_classes: int = 10) -> nn.Sequential:
    """Flattens 32 × 32 images for its linear layer ``3``, but its example is the 224 × 224 that everyone types."""
    features = 8 * (image_size // 4) ** 2
    return nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(features, num_classes)
    )


class _Describe(nn.Module):
    """Runs a layer and answers with words about it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, features: Tensor) -> dict[str, str]:
        """``(batch, width)`` to a description of the result."""
        return {"shape": str(tuple(self.linear(features).shape))}


@example_inputs("1,16")
def returns_no_tensor(width: int = 16) -> nn.Module:
    """Runs to its end, yet gives back no tensor."""
    return _Describe(width)
