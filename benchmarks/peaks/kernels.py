"""Small models around one operator whose kernel makes large tensors of its own, or whose gradient does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peaks.case import Case


class Applied(nn.Module):
    """A linear layer over the last axis, then a function."""

    def __init__(self, width: int, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(width, width), function

    def forward(self, x: Tensor) -> Tensor:
        """The function's result."""
        return self.function(self.layer(x))


class Grouped(nn.Module):
    """The largest features of each group of rows."""

    def __init__(self, groups: int = 500) -> None:
        super().__init__()
        self.layer, self.groups = nn.Linear(64, 64), groups

    def forward(self, x: Tensor, groups: Tensor) -> Tensor:
        """``(rows, 64)`` and the group of each row in, ``(groups, 64)`` out."""
        features = self.layer(x)
        place = groups.unsqueeze(-1).expand_as(features)
        return x.new_zeros(self.groups, 64).scatter_reduce(0, place, features, "amax", include_self=False)


class Table(nn.Module):
    """A table of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, 128)

    def forward(self, ids: Tensor) -> Tensor:
        """A vector for each number."""
        vectors: Tensor = self.table(ids)
        return vectors


class Sampled(nn.Module):
    """An image, convolved and sampled at given places."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, images: Tensor, places: Tensor) -> Tensor:
        """``(batch, 8, height, width)`` and ``(batch, height, width, 2)`` in."""
        return F.grid_sample(self.convolution(images), places, align_corners=False)


class Deformed(nn.Module):
    """Deformable convolution with offsets that a convolution gives: samples for every tap, then one product.

    Written out, as torchvision's compiled operator does not load beside every torch.
    """

    def __init__(self, channels: int = 16, taps: int = 9) -> None:
        super().__init__()
        self.offsets = nn.Conv2d(channels, 2 * taps, 3, padding=1)
        self.product = nn.Conv2d(channels * taps, channels, 1)
        self.taps = taps

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` in and out."""
        batch, _, height, width = images.shape
        offsets = self.offsets(images).view(batch, self.taps, 2, height, width)
        places = offsets.permute(0, 1, 3, 4, 2).flatten(1, 2)
        columns = F.grid_sample(images, places, align_corners=False)
        columns = columns.unflatten(2, (self.taps, height)).flatten(1, 2)
        result: Tensor = self.product(columns)
        return result


class SparseProduct(nn.Module):
    """A sparse adjacency, made of its edges, times the features of the nodes."""

    def __init__(self, nodes: int = 2000) -> None:
        super().__init__()
        self.layer, self.nodes = nn.Linear(64, 64), nodes

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """``(nodes, 64)`` and ``(2, edges)`` in."""
        ones = torch.ones(edges.shape[1], dtype=x.dtype, device=x.device)
        adjacency = torch.sparse_coo_tensor(edges, ones, (self.nodes, self.nodes))
        return torch.sparse.mm(adjacency, self.layer(x))


class Speech(nn.Module):
    """Frames to the loss of a sequence of labels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(40, 32)

    def forward(self, frames: Tensor, labels: Tensor) -> Tensor:
        """``(steps, batch, 40)`` and ``(batch, labels)`` in, a loss per sequence out."""
        scores = self.layer(frames).log_softmax(-1)
        steps, batch = frames.shape[:2]
        lengths = [steps] * batch
        return F.ctc_loss(scores, labels, lengths, [labels.shape[1]] * batch, reduction="none")


def kernel_cases() -> Iterator[Case]:
    """The models, most of them outliers once."""
    images = lambda: {"x": torch.randn(2, 16, 64, 64)}  # noqa: E731
    places = lambda: {"images": torch.randn(2, 8, 64, 64), "places": torch.rand(2, 64, 64, 2)}  # noqa: E731
    pictures = lambda: {"images": torch.randn(1, 16, 64, 64)}  # noqa: E731
    yield _outlier("deform", "deformable convolution", Deformed, pictures)
    yield _outlier("fold", "unfold and fold", lambda: Applied(64, _unfold_and_fold), images)
    yield _outlier("spectral", "rfft2 and irfft2", lambda: Applied(64, _there_and_back), images)
    edges = lambda: {"x": torch.randn(2000, 64), "edges": torch.randint(0, 2000, (2, 20000))}  # noqa: E731
    yield _outlier("sparse", "sparse product", SparseProduct, edges)
    resize = lambda x: F.interpolate(x, scale_factor=0.4, mode="bilinear", antialias=True)  # noqa: E731
    yield _outlier("antialias", "antialiased resizing", lambda: Applied(64, resize), images)
    rows = lambda: {"x": torch.randn(8, 96, 96)}  # noqa: E731
    yield _outlier("svd", "singular values", lambda: Applied(96, torch.linalg.svdvals), rows)
    yield _outlier("svd-full", "singular vectors", lambda: Applied(96, _reconstructed), rows)
    points = lambda: {"x": torch.randn(4, 300, 64)}  # noqa: E731
    yield _outlier("cdist", "distances of all pairs", lambda: Applied(64, lambda x: torch.cdist(x, x)), points)
    yield _outlier("grid-sample", "grid_sample", Sampled, places)
    yield _outlier("embedding", "embedding", Table, lambda: {"ids": torch.randint(0, 1000, (64, 128))})
    yield _outlier("softmax2d", "softmax over channels", lambda: Applied(64, nn.Softmax2d()), images)
    speech = lambda: {"frames": torch.randn(100, 8, 40), "labels": torch.randint(1, 32, (8, 20))}  # noqa: E731
    yield _outlier("ctc", "CTC loss", Speech, speech)
    groups = lambda: {"x": torch.randn(4000, 64), "groups": torch.randint(0, 500, (4000,))}  # noqa: E731
    yield _outlier("scatter", "scatter_reduce", Grouped, groups)


def _outlier(name: str, words: str, build: Callable[[], nn.Module], inputs: Callable[[], dict[str, Tensor]]) -> Case:
    return Case(name, words, build, inputs, outlier=True)


def _unfold_and_fold(x: Tensor) -> Tensor:
    return F.fold(F.unfold(x, 3, padding=1), x.shape[-2:], 3, padding=1)


def _there_and_back(x: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(x))


def _reconstructed(x: Tensor) -> Tensor:
    left, values, right = torch.linalg.svd(x, full_matrices=False)
    return (left * values.unsqueeze(-2)) @ right
