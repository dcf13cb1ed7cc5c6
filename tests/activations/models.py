"""Small models with one trait each, for the tests of this folder."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Linear, in-place ReLU, and a sum with the input: the linear's own output is overwritten."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.linear(x)) + x


class Staged(nn.Module):
    """Two blocks in a Sequential: a query for the stage and one for its last block mean one value."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = nn.Sequential(Block(), Block())
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stage(x))


class Reused(nn.Module):
    """One layer called three times, and registered a second time under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.twin = self.layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(self.layer(x)))


class Digits(nn.Module):
    """Modules whose true names end like numbered repetitions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Linear(4, 4)
        self.conv_1 = nn.Linear(4, 4)
        self.conv_2 = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_2(self.conv(self.conv_1(self.conv(x))))


class Dynamic(nn.Module):
    """Control flow that depends on values: torch.fx cannot trace it. ``last`` never runs for positive sums."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        if x.sum() < 0:
            return self.last(x)
        x += 1
        return self.second(x)


class Structured(nn.Module):
    """A module returning ``kind``: dict, list, tuple with None."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Any:
        if self.kind == "dict":
            return {"a": x + 1, "b": x + 2}
        if self.kind == "list":
            return [x + 1, x + 2]
        return (x + 1, None)


class Wrapping(nn.Module):
    """A model around a :class:`Structured` called ``transformer``; returns its input doubled."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.transformer = Structured(kind)

    def forward(self, x: Tensor, *, scale: float = 2.0) -> Tensor:
        self.transformer(x)
        return x * scale


class Frozen(nn.Module):
    """A batch norm kept in eval inside a model in train; ``traceable=False`` adds control flow."""

    def __init__(self, traceable: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.traceable = traceable

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if not self.traceable and x.sum() > 1e9:
            return x
        return self.drop(x)


def true_values(model: nn.Module, *args: Any, leaves_only: bool = True, **kwargs: Any) -> OrderedDict[str, Any]:
    """Path -> clone of the tensor that each module's first call returned, taken by a plain hook at call time."""
    values: OrderedDict[str, Any] = OrderedDict()

    def keeper(path: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            if path not in values and isinstance(output, Tensor):
                values[path] = output.detach().clone()

        return keep

    handles = [
        module.register_forward_hook(keeper(path))
        for path, module in model.named_modules()
        if path and (not leaves_only or not list(module.children()))
    ]
    try:
        with torch.no_grad():
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return values
