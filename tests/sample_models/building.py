"""Build a sample model by its name and turn its example inputs into tensors."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sample_models import CATALOG

_SPEC = re.compile(r"(?:(?P<name>\w+)=)?(?P<shape>[\d,]+)(?::(?P<dtype>\w+)(?:<(?P<bound>\d+))?)?")

BUILDABLE = sorted(set(CATALOG) - {"raises_in_init"})
RUNNABLE = sorted(set(BUILDABLE) - {"raises_mid_forward", "needs_another_shape"})
NEEDS_VALUES = {"data_dependent_branch", "routed_experts"}


def find_factory(name: str) -> Callable[..., nn.Module]:
    """The factory that the catalogue names."""
    module, _, attribute = CATALOG[name].partition(":")
    factory: Callable[..., nn.Module] = getattr(importlib.import_module(module), attribute)
    return factory


def _tensor(match: re.Match[str], generator: torch.Generator) -> Tensor:
    shape = [int(size) for size in match["shape"].split(",")]
    if match["bound"]:
        values = torch.randint(int(match["bound"]), shape, generator=generator, device="cpu")
        return values.to(getattr(torch, match["dtype"]))
    return torch.randn(shape, generator=generator, device="cpu")


def example_call(name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments from the factory's ``example_inputs``, always the same values, on the CPU."""
    examples = find_factory(name).example_inputs  # type: ignore[attr-defined]
    if callable(examples):
        return examples()
    generator, args, kwargs = torch.Generator().manual_seed(0), [], {}
    for spec in examples:
        match = _SPEC.fullmatch(spec)
        assert match, spec
        if match["name"]:
            kwargs[match["name"]] = _tensor(match, generator)
        else:
            args.append(_tensor(match, generator))
    return tuple(args), kwargs


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in a nesting of tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)


def moved(value: Any, device: str) -> Any:
    """The same nesting with every tensor on ``device``."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: moved(item, device) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(moved(item, device) for item in value)
    return value


def count_parameters(model: nn.Module) -> int:
    """Elements of the distinct parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
