"""Keep values as they were when they were made: copied once, detached unless asked, nested tensors padded."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.activations.outputs import copy_tensor, pad_nested, snapshot_tensor
from torchstat_cli.torch_access.transforms import current_level, is_transformed, plain_value, standing_at
from torchstat_cli.torch_access.trees import map_tensors


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """How kept values differ from the live ones."""

    copy: bool = True  # a later in-place operation cannot reach the kept value; False keeps the live tensor
    detach: bool = True  # no autograd graph is kept; False keeps the live tensor where nothing overwrote it
    device: torch.device | str | None = None  # where kept values go; None leaves them where they are
    audit: bool = True  # watch during the first run which values are overwritten later; holds them until it ends


@dataclass
class Keeper:
    """Copies tensors, one forward pass after the other; the very same tensor seen twice is copied lazily."""

    options: KeepOptions
    masks: dict[str, Tensor] = field(default_factory=dict)  # name -> (batch, longest) mask of a padded nested tensor
    same_as: dict[str, str] = field(default_factory=dict)  # name -> earlier name whose tensor it returned
    overwritten: dict[str, None] = field(default_factory=dict)  # names whose live tensor was later changed in place
    _level: int = field(default_factory=current_level)  # of torch.func transforms: where kept values will be used
    _kept: dict[int, tuple[weakref.ref[Tensor], int, Tensor, str]] = field(default_factory=dict)
    _storages: set[int] = field(default_factory=set)  # of kept tensors, by which views of them are known
    _watched: list[tuple[str, Tensor, int]] = field(default_factory=list)
    _live: dict[int, tuple[Tensor, Tensor, int]] = field(default_factory=dict)  # by id: kept copy, original, version

    def keep(self, name: str, value: Any) -> Any:
        """``value`` as it is now, in the same containers."""
        return map_tensors(value, lambda tensor: self._keep_tensor(name, tensor), objects=True)

    def _keep_tensor(self, name: str, tensor: Tensor) -> Tensor:
        if is_transformed(tensor):
            return self._from_transform(tensor)
        if tensor.is_nested:
            padded, self.masks[name] = pad_nested(tensor)
            return self._copied(padded)
        version = _version(tensor)
        known = self._kept.get(id(tensor))
        # A container often returns its last child's tensor: the copy is shared, unless something was written since.
        if known is not None and known[0]() is tensor and known[1] == version:
            if known[3] != name:
                self.same_as[name] = known[3]
                return self._copied_again(known[2])
            return known[2]
        kept = self._copied(tensor)
        if version is not None:
            self._kept[id(tensor)] = (weakref.ref(tensor), version, kept, name)
            if self.options.audit:
                self._watched.append((name, tensor.detach(), version))
            if kept is not tensor and kept.requires_grad and self._may_be_handed_out(tensor):
                self._live[id(kept)] = (kept, tensor, version)
        return kept

    def _copied_again(self, kept: Tensor) -> Tensor:
        """The same for another name, which nobody finds changed by what is done to the first."""
        twin = snapshot_tensor(kept, base_is_kept=True) if self.options.copy else kept
        if id(kept) in self._live:
            self._live[id(twin)] = (twin, *self._live[id(kept)][1:])
        return twin

    def _may_be_handed_out(self, tensor: Tensor) -> bool:
        # An optimizer's step would change a parameter under the caller's hands.
        return self.options.device is None and not isinstance(tensor, torch.nn.Parameter)

    def _from_transform(self, tensor: Tensor) -> Tensor:
        """The value of a wrapper that dies with its transform; the tensor's clone where we are inside of it, too."""
        plain = plain_value(tensor, self._level)
        if not is_transformed(plain):
            with standing_at(self._level):
                return self._copied(plain)
        live = plain.detach() if self.options.detach else plain
        return live.clone() if self.options.copy else live

    def _copied(self, tensor: Tensor) -> Tensor:
        live = tensor.detach() if self.options.detach else tensor
        if self.options.device is not None and live.device != torch.device(self.options.device):
            return live.to(self.options.device)
        if not self.options.copy:
            return live
        if live.layout != torch.strided:
            return copy_tensor(live)
        storage = live.untyped_storage()._cdata
        kept = snapshot_tensor(live, base_is_kept=storage in self._storages)
        self._storages.add(storage)
        return kept

    @property
    def holds_live(self) -> bool:
        """Whether :meth:`current` changes anything."""
        return bool(self._live)

    def current(self, value: Any) -> Any:
        """A kept value as it is handed out: where gradients flow, the model's own tensors, unless overwritten.

        The copy of such a tensor lies beside the path from the inputs to the loss: nothing could be differentiated
        with respect to it.
        """
        return map_tensors(value, self._original, objects=True) if self._live else value

    def _original(self, tensor: Tensor) -> Tensor:
        copied, original, version = self._live.get(id(tensor), (None, tensor, None))
        return original if copied is tensor and _version(original) == version else tensor

    def end_pass(self) -> None:
        """Drop every reference to live tensors that are not handed out; a forward pass is over."""
        # A detached twin shares the version counter, which every in-place operation on any alias raises.
        self.overwritten.update((name, None) for name, tensor, version in self._watched if _version(tensor) != version)
        self._kept.clear()
        self._watched.clear()
        self._storages.clear()
        self._live.clear()


def _version(tensor: Tensor) -> int | None:
    # Inference tensors have no counter.
    return None if tensor.is_inference() else tensor._version
