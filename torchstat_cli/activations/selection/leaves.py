"""Which modules are traced through, and which are one node: the rule of torch.fx and torchvision, plus the user's."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import ModuleType, NoneType
from typing import Any

import torch
from torch import nn

_NAMESPACES = ("torch.nn", "torch.ao.nn")


@dataclass(frozen=True, slots=True)
class TracerOptions:
    """torchvision's ``tracer_kwargs`` with the defaults added; the caller's dict is left as it is."""

    leaf_modules: tuple[type[nn.Module], ...]
    autowrap_modules: tuple[ModuleType, ...]
    autowrap_functions: tuple[Callable[..., Any], ...] = ()
    param_shapes_constant: bool = False

    @classmethod
    def of(cls, tracer_kwargs: Mapping[str, Any] | None = None) -> TracerOptions:
        """The options for torchvision's argument ``tracer_kwargs``.

        Raises:
            TypeError: an unknown option, ``leaf_modules`` not a list, ``autowrap_modules`` not a tuple.
        """
        if not isinstance(tracer_kwargs, (Mapping, NoneType)):
            raise TypeError(f"tracer_kwargs must be a dict, not {type(tracer_kwargs).__name__}")
        given = dict(tracer_kwargs or {})
        options = [option.name for option in fields(cls)]
        unknown = [name for name in given if name not in options]
        if unknown:
            raise TypeError(f"tracer_kwargs has no option {unknown[0]!r}; there are {', '.join(options)}")
        leaf_modules = given.pop("leaf_modules", [])
        autowrap_modules = given.pop("autowrap_modules", ())
        if not isinstance(leaf_modules, list):
            raise TypeError(f"leaf_modules must be a list of module classes, not {type(leaf_modules).__name__}")
        if not isinstance(autowrap_modules, tuple):
            raise TypeError(
                f"autowrap_modules must be a tuple of Python modules, not {type(autowrap_modules).__name__}"
            )
        operators = _torchvision_operators()
        return cls(
            leaf_modules=(*leaf_modules, *_module_classes(operators)),
            autowrap_modules=(*autowrap_modules, math, *([operators] if operators else [])),
            autowrap_functions=tuple(given.pop("autowrap_functions", ())),
            **given,
        )

    def without_wrapping(self) -> TracerOptions:
        """The leaf rule alone, which is all that a live run needs; unlike Python modules it can be pickled."""
        return replace(self, autowrap_modules=(), autowrap_functions=())

    def is_leaf(self, module: nn.Module) -> bool:
        """Whether a call of ``module`` is one node."""
        return isinstance(module, self.leaf_modules) or is_library_leaf(module)


def is_library_leaf(module: nn.Module) -> bool:
    """Whether ``module`` is one of torch's own modules, Sequential excepted (torch.fx's rule), or a TorchScript one."""
    if isinstance(module, torch.jit.ScriptModule):
        return True
    return type(module).__module__.startswith(_NAMESPACES) and not isinstance(module, nn.Sequential)


def _torchvision_operators() -> ModuleType | None:
    # A model can only hold torchvision's modules if torchvision is imported already; importing it here would cost
    # seconds, and fails beside some builds of torch.
    return sys.modules.get("torchvision.ops")


def _module_classes(namespace: ModuleType | None) -> list[type[nn.Module]]:
    members = vars(namespace).values() if namespace else ()
    return [member for member in members if inspect.isclass(member) and issubclass(member, nn.Module)]


def with_timm_leaves(options: TracerOptions) -> TracerOptions:
    """``options`` plus the modules and functions that timm itself declares untraceable, where timm is in use."""
    features = sys.modules.get("timm.models._features_fx")
    if features is None:
        return options
    return TracerOptions(
        (*options.leaf_modules, *features.get_notrace_modules()),
        options.autowrap_modules,
        (*options.autowrap_functions, *features.get_notrace_functions()),
        options.param_shapes_constant,
    )
