"""`Recorder`: a model's output together with its attention maps, as vit-pytorch gives them, for any model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.attention.finder import AttentionFinder
from torchstat_cli.activations.attention.owners import has_attention
from torchstat_cli.activations.attention.subset import MapSubset, Subset
from torchstat_cli.activations.events import Event, FoundMap
from torchstat_cli.activations.outputs import first_device
from torchstat_cli.activations.runtime.calling import call_model, check_device
from torchstat_cli.activations.runtime.function_mode import OperatorMode, listening
from torchstat_cli.activations.runtime.listener import RunListener
from torchstat_cli.activations.runtime.module_hooks import ModuleHooks
from torchstat_cli.activations.selection.engines import hooked_paths
from torchstat_cli.activations.selection.language import Part
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import EjectedError
from torchstat_cli.torch_access.eager import eagerly, room_for_hooks
from torchstat_cli.torch_access.wrappers import unwrap


class Recorder(nn.Module):
    """Wraps any model; ``wrapper(*args, **kwargs)`` calls it and returns ``(output, attention)``.

    The attention is one tensor (batch, layers, heads, queries, keys) where all maps have one shape, else a dict from
    the attention module's name to its map, and None where nothing attends. Maps are taken before dropout, detached.
    Nothing is attached to the model between calls, and fused kernels keep running: the output is unchanged.

    Args:
        vit: the model.
        device: where the maps go; None means the device of the first input tensor.
        heads, queries, keys: indices or slices to keep of each map; None keeps all.
        by_name: always return the dict.

    Raises:
        UsageError: torch knows no such device.
    """

    def __init__(
        self,
        vit: nn.Module,
        device: torch.device | str | None = None,
        *,
        heads: Subset = None,
        queries: Subset = None,
        keys: Subset = None,
        by_name: bool = False,
    ) -> None:
        super().__init__()
        check_device(device)
        self.vit = vit
        self.data = None  # always None; vit-pytorch has the attribute
        self.recordings: list[Tensor] = []
        self._overlooked: dict[str, None] = {}  # softmaxes of the last call that may be attention
        self.names: list[str] = []  # of the recordings, in order
        self.hooks: list[RemovableHandle] = []  # always empty between calls; vit-pytorch has the attribute
        self.ejected = False
        self.device = device
        self.subset = MapSubset(heads, queries, keys)
        self.by_name = by_name

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, Tensor | dict[str, Tensor] | None]:
        """``(output, attention)`` of one call.

        Raises:
            EjectedError: after :meth:`eject`.
            InputError: model and inputs are on different devices.
        """
        if self.ejected:
            raise EjectedError(
                "recorder has been ejected, cannot be used anymore", "make a new Recorder around the model"
            )
        self.clear()
        with self._listening():
            output = call_model(self.vit, args, kwargs)
        if not self.recordings and (self._overlooked or has_attention(self.vit)):
            warnings.warn(_nothing_seen(next(iter(self._overlooked), None)), UserWarning, stacklevel=2)
        device = self.device if self.device is not None else first_device(args, kwargs)
        return output, self._gathered(device)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        table = ModuleTable.of(self.vit)
        finder = AttentionFinder(table, self, self.subset)
        listener = RunListener(_Nobody(), table, TracerOptions.of())
        hooks = ModuleHooks(table, listener)
        mode = OperatorMode(listener.operator)
        listener.follow(hooks, mode, finder)
        with ExitStack() as stack:
            stack.enter_context(room_for_hooks())
            stack.enter_context(eagerly(self.vit, compiled=table.compiled))
            stack.enter_context(hooks.attached(hooked_paths((), table, everything=True), failures=True))
            stack.enter_context(listening(mode))
            yield

    def wants_map(self, path: str) -> bool:
        """Whether maps of the attention module ``path`` are recorded."""
        return _in_scope(self.vit, path)

    def take_map(self, found: FoundMap) -> None:
        """Record a map; what goes to sinks is none."""
        if found.part != "sinks":
            self.names.append(found.name)
            self.recordings.append(found.maps)

    def overlooked(self, name: str) -> None:
        """Remember a softmax that may be attention, for the warning where none was found."""
        self._overlooked.setdefault(name)

    def record(self, attn: Tensor) -> None:
        """Add a copy of a map (batch, heads, queries, keys) by hand."""
        self.recordings.append(attn.clone().detach())

    def clear(self) -> None:
        """Forget the maps of the last call."""
        self.recordings.clear()
        self.names.clear()
        self._overlooked.clear()

    def eject(self) -> nn.Module:
        """Give the model back; the wrapper cannot be called afterwards."""
        self.ejected = True
        return self.vit

    def _gathered(self, device: torch.device | str | None) -> Tensor | dict[str, Tensor] | None:
        maps = [recording if device is None else recording.to(device) for recording in self.recordings]
        if not maps:
            return None
        if not self.by_name and len({(recording.shape, recording.dtype) for recording in maps}) == 1:
            return torch.stack(maps, dim=1)
        names = [*self.names, *(f"recorded_{index}" for index in range(len(self.names), len(maps)))]
        return dict(zip(names, maps, strict=True))


class _Nobody:
    """Wants no values: only attention is listened for."""

    def wants(self, event: Event, part: Part) -> bool:
        """Nothing."""
        return False

    def take(self, event: Event, part: Part, value: Any) -> None:
        """Drop it."""

    def failed(self, event: Event) -> None:
        """Nothing."""


def _nothing_seen(softmax: str | None) -> str:
    text = "no attention was seen: no fused kernel, nn.MultiheadAttention or softmax in an attention module ran"
    if softmax is None:
        return text
    return f"{text}; a softmax over a square ran in another module: observe(model, [{softmax!r}]) keeps it"


def _in_scope(model: nn.Module, path: str) -> bool:
    """vit-pytorch records the main transformer only; its tokenisers hold small ones whose maps have other shapes."""
    inner = unwrap(model)
    main = getattr(inner, "transformer", None)
    if not type(inner).__module__.startswith("vit_pytorch.") or not isinstance(main, nn.Module):
        return True
    return path == "transformer" or path.startswith("transformer.")
