"""Build modules whose parameters have shapes and dtypes but no memory."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from torchstat_cli.torch_access.internals import TorchDispatchMode
from torchstat_cli.torch_access.modules import parameters_of
from torchstat_cli.torch_access.patching import replaced

aten = torch.ops.aten

_FILLS = frozenset({aten.normal_, aten.uniform_, aten.zero_, aten.fill_, aten.exponential_, aten.log_normal_})
_RANGES = frozenset({aten.arange, aten.linspace, aten.logspace})
_LARGEST_RANGE = 1 << 24  # elements; longer ranges go the ordinary way


class _CheapInitialisation(TorchDispatchMode):
    """Answer what only sets values, and ranges, without torch's meta kernels.

    Those are Python that imports a compiler stack on first use: a second per process, for values that do not exist.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch wraps the method below so that the first call imports the compiler.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        if packet in _FILLS and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return args[0]
        if packet in _RANGES and _is_meta(kwargs.get("device")) and _range_length(packet, args) < _LARGEST_RANGE:
            real = func(*args, **{**kwargs, "device": "cpu"})
            return torch.empty_like(real, device="meta")
        return func(*args, **kwargs)


def _is_meta(device: object) -> bool:
    return device is not None and torch.device(device).type == "meta"  # type: ignore[call-overload]


def _range_length(packet: object, args: tuple[Any, ...]) -> float:
    if packet is not aten.arange:
        return float(args[2]) if len(args) > 2 else _LARGEST_RANGE
    start, end = (0, args[0]) if len(args) == 1 else args[:2]
    return abs(float(end - start) / (args[2] if len(args) > 2 else 1))


@contextlib.contextmanager
def meta_device() -> Iterator[None]:
    """Everything that is created inside lies on the meta device, and initialisation costs nothing."""
    with torch.device("meta"), _CheapInitialisation():  # type: ignore[no-untyped-call]
        yield


@contextlib.contextmanager
def intercepted_parameters(replace: Callable[[nn.Parameter], nn.Parameter]) -> Iterator[None]:
    """Every parameter passes through ``replace`` when a module of this thread registers it."""

    def around(original: Callable[..., None]) -> Callable[..., None]:
        def register_parameter(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
            original(self, name, param if param is None or is_lazy(param) else replace(param))

        return register_parameter

    with replaced(nn.Module, "register_parameter", around):
        yield


@contextlib.contextmanager
def meta_parameters() -> Iterator[None]:
    """Parameters go to meta as soon as they are registered; buffers and all arithmetic of construction stay real."""
    # Weak: a parameter's real memory is freed at once, yet one that is registered twice keeps one twin.
    twins: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def to_meta(parameter: nn.Parameter) -> nn.Parameter:
        if parameter.is_meta:
            return parameter
        if parameter not in twins:
            twins[parameter] = meta_twin(parameter)
        return twins[parameter]  # type: ignore[no-any-return]

    with intercepted_parameters(to_meta), _CheapInitialisation():  # type: ignore[no-untyped-call]
        yield


def meta_twin(parameter: nn.Parameter) -> nn.Parameter:
    """A parameter of the same class, shape, dtype and attributes without memory."""
    twin = torch.empty_like(parameter.data, device="meta")
    made = nn.Parameter(twin, requires_grad=parameter.requires_grad)
    if type(parameter) is not nn.Parameter:
        made.__class__ = type(parameter)
    made.__dict__.update(parameter.__dict__)
    return made


def copy_without_memory(module: nn.Module) -> nn.Module:
    """A copy whose parameters lie on meta; ties are kept, buffers are copied, the original is not touched.

    Raises:
        Exception: whatever ``copy.deepcopy`` raises for a module that cannot be copied.
    """
    memo: dict[int, object] = {}
    for parameter in parameters_of(module):
        if not parameter.is_meta and not is_lazy(parameter):
            memo[id(parameter)] = meta_twin(parameter)
    return copy.deepcopy(module, memo)
