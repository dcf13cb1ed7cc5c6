"""Models that keep what their forward pass makes where no walk from the model leads."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

CACHE: dict[Any, Any] = {"before": 1}
TABLE: Tensor | None = None
LOG: list[Any] = []


class Helper:
    table: Tensor | None = None


HELPER = Helper()


def table_for(x: Tensor) -> Tensor:
    return torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)


@functools.lru_cache(maxsize=8)
def mask(size: int, device: torch.device) -> Tensor:
    return torch.ones(size, size, device=device)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)


class GlobalDict(Base):
    def forward(self, x: Tensor) -> Tensor:
        if "table" not in CACHE:
            CACHE["table"] = {"nested": [table_for(x)]}
        return self.layer(x) + CACHE["table"]["nested"][0]


class GlobalName(Base):
    def forward(self, x: Tensor) -> Tensor:
        global TABLE
        if TABLE is None:
            TABLE = table_for(x)
        return self.layer(x) + TABLE


class GlobalObject(Base):
    def forward(self, x: Tensor) -> Tensor:
        if HELPER.table is None:
            HELPER.table = table_for(x)
        return self.layer(x) + HELPER.table


class GlobalList(Base):
    def forward(self, x: Tensor) -> Tensor:
        LOG.append({"output": self.layer(x)})
        return self.layer(x)


class ClassAttribute(Base):
    cache: ClassVar[Tensor | None] = None

    def forward(self, x: Tensor) -> Tensor:
        if ClassAttribute.cache is None:
            ClassAttribute.cache = table_for(x)
        return self.layer(x) + ClassAttribute.cache


class NewClassAttribute(Base):
    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(type(self), "made"):
            type(self).made = table_for(x)  # type: ignore[attr-defined]
        return self.layer(x) + type(self).made  # type: ignore[attr-defined]


class CachedFunction(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) @ mask(4, x.device)


class CachedMethod(Base):
    @functools.cache  # noqa: B019  # as users write it
    def mask(self, size: int) -> Tensor:
        return torch.ones(size, size, device=self.layer.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) @ self.mask(4)


class Failing(GlobalDict):
    def forward(self, x: Tensor) -> Tensor:
        super().forward(x)
        raise ArithmeticError


LEAKY = (
    GlobalDict,
    GlobalName,
    GlobalObject,
    GlobalList,
    ClassAttribute,
    NewClassAttribute,
    CachedFunction,
    CachedMethod,
)
