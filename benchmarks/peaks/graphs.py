"""Graph networks and splines in plain torch: gathers, scatters and sums over neighbors, as the libraries have them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.libraries import import_library
from benchmarks.peaks.case import Case

_NODES, _EDGES, _WIDTH = 500, 4000, 64


class SageLayer(nn.Module):
    """GraphSAGE: a node and the mean of its neighbors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.neighbors, self.own = nn.Linear(width, width), nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """``(nodes, width)`` and ``(2, edges)`` in, ``(nodes, width)`` out."""
        source, target = edges
        total = torch.zeros_like(x).index_add(0, target, x.index_select(0, source))
        count = x.new_zeros(x.shape[0]).index_add(0, target, x.new_ones(target.shape[0]))
        return self.neighbors(total / count.clamp(min=1).unsqueeze(-1)) + self.own(x)


class Sage(nn.Module):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = SageLayer(_WIDTH), SageLayer(_WIDTH)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """``(nodes, width)`` and ``(2, edges)`` in."""
        hidden: Tensor = self.first(x, edges).relu()
        return self.second(hidden, edges)  # type: ignore[no-any-return]


class PointNetLayer(nn.Module):
    """A small network for every edge, of features and relative positions, and the largest of a node's messages."""

    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Sequential(nn.Linear(_WIDTH + 3, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH))

    def forward(self, x: Tensor, positions: Tensor, edges: Tensor) -> Tensor:
        """``(nodes, width)``, ``(nodes, 3)`` and ``(2, edges)`` in, ``(nodes, width)`` out."""
        source, target = edges
        message = self.local(torch.cat([x[source], positions[source] - positions[target]], -1))
        place = target.unsqueeze(-1).expand_as(message)
        return torch.zeros_like(x).scatter_reduce(0, place, message, "amax", include_self=False)


class PrincipalLayer(nn.Module):
    """PNA: mean, largest, smallest and deviation of the messages, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(2 * _WIDTH, _WIDTH), nn.Linear(5 * _WIDTH, _WIDTH)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """``(nodes, width)`` and ``(2, edges)`` in, ``(nodes, width)`` out."""
        source, target = edges
        message = self.before(torch.cat([x[target], x[source]], -1))
        place = target.unsqueeze(-1).expand_as(message)
        gathered = [
            torch.zeros_like(x).scatter_reduce(0, place, values, how, include_self=False)
            for values, how in (
                *((message, "mean"), (message, "amax"), (message, "amin")),
                (message * message, "mean"),
            )
        ]
        mean, largest, smallest, squares = gathered
        deviation = (squares - mean * mean).clamp(min=1e-5).sqrt()
        result: Tensor = self.after(torch.cat([x, mean, largest, smallest, deviation], -1))
        return result


class SplineLayer(nn.Module):
    """KAN: every input through splines of degree 3 by the Cox-de Boor recursion, and a plain base beside them."""

    def __init__(self, inputs: int, outputs: int, grid: int = 5, degree: int = 3) -> None:
        super().__init__()
        self.degree = degree
        knots = torch.linspace(-1 - degree * 2 / grid, 1 + degree * 2 / grid, grid + 2 * degree + 1)
        self.register_buffer("knots", knots.expand(inputs, -1).contiguous())
        self.weight = nn.Parameter(torch.randn(outputs, inputs, grid + degree) / inputs)
        self.base = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, inputs)`` to ``(batch, outputs)``."""
        knots: Tensor = self.knots  # type: ignore[assignment]
        x = x.unsqueeze(-1)
        bases = ((x >= knots[:, :-1]) & (x < knots[:, 1:])).to(x.dtype)
        for k in range(1, self.degree + 1):
            left = (x - knots[:, : -k - 1]) / (knots[:, k:-1] - knots[:, : -k - 1])
            right = (knots[:, k + 1 :] - x) / (knots[:, k + 1 :] - knots[:, 1:-k])
            bases = left * bases[..., :-1] + right * bases[..., 1:]
        splines = torch.einsum("big,oig->bo", bases, self.weight)
        return splines + self.base(nn.functional.silu(x.squeeze(-1)))  # type: ignore[no-any-return]


def graph_cases() -> Iterator[Case]:
    """The models, each an outlier once."""
    edges = torch.randint(0, _NODES, (2, _EDGES))
    graph = lambda: {"x": torch.randn(_NODES, _WIDTH), "edges": edges}  # noqa: E731
    cloud = lambda: {**graph(), "positions": torch.randn(_NODES, 3)}  # noqa: E731
    yield Case("sage", "GraphSAGE", Sage, graph, outlier=True)
    yield Case("pointnet", "PointNet convolution", PointNetLayer, cloud, outlier=True)
    yield Case("pna", "PNA", PrincipalLayer, graph, outlier=True)
    splines = lambda: nn.Sequential(SplineLayer(32, 64), SplineLayer(64, 10))  # noqa: E731
    yield Case("kan", "KAN", splines, lambda: {"input": torch.rand(256, 32)}, outlier=True)
    library = import_library("vit_pytorch")
    if library is not None:
        from vit_pytorch.deepvit import DeepViT

        sizes = {"image_size": 64, "patch_size": 8, "num_classes": 10, "dim": 128, "depth": 3, "heads": 8}
        build = lambda: DeepViT(**sizes, mlp_dim=256)  # noqa: E731
        yield Case("deepvit", "DeepViT, batch 4", build, lambda: {"img": torch.randn(4, 3, 64, 64)}, outlier=True)
