"""Where a model comes from."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn


class Origin(NamedTuple):
    """Where a model comes from."""

    spec: str | None  # as written; None for a live model
    resolved: str  # "torchvision.models:resnet18"; the class of a live model
    source: str | None  # "file:line" of the factory, or of a live model's class
    class_name: str

    @classmethod
    def of_live(cls, model: nn.Module) -> Origin:
        """The origin of a model that the user built."""
        kind = type(model)
        return cls(None, f"{kind.__module__}:{kind.__qualname__}", _source_line(kind), kind.__name__)


def _source_line(kind: type) -> str | None:
    """The "file:line" where a class says how it is built or run; None where it is not Python."""
    for name in ("__init__", "forward"):
        code = getattr(vars(kind).get(name), "__code__", None)
        if code is not None:
            return f"{code.co_filename}:{code.co_firstlineno}"
    return None
