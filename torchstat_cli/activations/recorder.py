"""`Recorder`: a model's output together with its attention maps, as vit-pytorch gives them, for any model."""

from __future__ import annotations

import warnings
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.attention.owners import has_attention
from torchstat_cli.activations.attention.subset import MapSubset, Subset
from torchstat_cli.activations.events import FoundMap
from torchstat_cli.activations.outputs import first_device
from torchstat_cli.activations.runtime.calling import call_model, check_device
from torchstat_cli.activations.runtime.maps_alone import MapTaker, watching
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import EjectedError
from torchstat_cli.torch_access.wrappers import unwrap


class Recorder(nn.Module):
    """Wraps any model; ``wrapper(*args, **kwargs)`` calls it and returns ``(output, attention)``.

    The attention is one tensor (batch, layers, heads, queries, keys) where all maps have one shape, else a dict from
    the attention module's name to its map, and None where nothing attends. Maps are taken before dropout, detached.
    Nothing is attached to the model between calls, and fused kernels keep running: the output is unchanged. One
    recorder may be called in several threads; ``recordings`` are those of the call that ended last.

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
        self.names: list[str] = []  # of the recordings, in order
        self.hooks: list[RemovableHandle] = []  # always empty between calls; vit-pytorch has the attribute
        self.ejected = False
        self._calls: dict[int, _Call] = {}  # under way, by thread
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
        call = _Call(self.vit)
        self._calls[get_ident()] = call
        try:
            output = self._run(call, args, kwargs)
        finally:
            del self._calls[get_ident()]
        self.recordings, self.names = call.recordings, call.names
        if not call.recordings and (call.softmaxes or has_attention(self.vit)):
            warnings.warn(_nothing_seen(next(iter(call.softmaxes), None)), UserWarning, stacklevel=2)
        device = self.device if self.device is not None else first_device(args, kwargs)
        return output, self._gathered(call, device)

    def _run(self, call: _Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        table = ModuleTable.of(self.vit)
        with watching(self.vit, table, call, self.subset):
            return call_model(self.vit, args, kwargs)

    def record(self, attn: Tensor) -> None:
        """Add a copy of a map (batch, heads, queries, keys) by hand, to the call that runs in this thread."""
        call = self._calls.get(get_ident())
        recordings = self.recordings if call is None else call.recordings
        recordings.append(attn.clone().detach())

    def clear(self) -> None:
        """Forget the maps of the last call."""
        self.recordings, self.names = [], []

    def eject(self) -> nn.Module:
        """Give the model back; the wrapper cannot be called afterwards."""
        self.ejected = True
        return self.vit

    def _gathered(self, call: _Call, device: torch.device | str | None) -> Tensor | dict[str, Tensor] | None:
        maps = [recording if device is None else recording.to(device) for recording in call.recordings]
        if not maps:
            return None
        if not self.by_name and len({(recording.shape, recording.dtype) for recording in maps}) == 1:
            return torch.stack(maps, dim=1)
        names = [*call.names, *(f"recorded_{index}" for index in range(len(call.names), len(maps)))]
        return dict(zip(names, maps, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_calls": {}}


class _Call(MapTaker):
    """One call of a recorder: wants no values, takes every map."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.recordings: list[Tensor] = []
        self.names: list[str] = []  # of the recordings, in order
        self.softmaxes: dict[str, None] = {}  # that may be attention

    def wants_map(self, path: str) -> bool:
        """Whether maps of the attention module ``path`` are recorded."""
        return _in_scope(self._model, path)

    def take_map(self, found: FoundMap) -> None:
        """Record a map; what goes to sinks is none."""
        if found.part != "sinks":
            self.names.append(found.name)
            self.recordings.append(found.maps)

    def overlooked(self, name: str) -> None:
        """Remember a softmax that may be attention, for the warning where none was found."""
        self.softmaxes.setdefault(name)


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
