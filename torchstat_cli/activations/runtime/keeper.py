"""Keep values as they were when they were made: copied once, detached unless asked, nested tensors padded."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.activations.outputs import copy_tensor, pad_nested, snapshot_tensor
from torchstat_cli.torch_access.trees import map_tensors, tensors_in


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """How kept values differ from the live ones."""

    copy: bool = True  # a later in-place operation cannot reach the kept value; False keeps the live tensor
    detach: bool = True  # no autograd graph is kept
    device: torch.device | str | None = None  # where kept values go; None leaves them where they are
    audit: bool = True  # watch during the first run which values are overwritten later; holds them until it ends


@dataclass
class Keeper:
    """Copies tensors for one run; the very same tensor seen twice is copied once."""

    options: KeepOptions
    masks: dict[str, Tensor] = field(default_factory=dict)  # name -> (batch, longest) mask of a padded nested tensor
    same_as: dict[str, str] = field(default_factory=dict)  # name -> earlier name whose tensor it returned
    _kept: dict[int, tuple[weakref.ref[Tensor], int, Tensor, str]] = field(default_factory=dict)
    _storages: set[int] = field(default_factory=set)  # of kept tensors, by which views of them are known
    _watched: list[tuple[str, Tensor, int]] = field(default_factory=list)

    def keep(self, name: str, value: Any) -> Any:
        """``value`` as it is now, in the same containers."""
        return map_tensors(value, lambda tensor: self._keep_tensor(name, tensor))

    def _keep_tensor(self, name: str, tensor: Tensor) -> Tensor:
        if tensor.is_nested:
            padded, self.masks[name] = pad_nested(tensor)
            return self._copied(padded)
        version = _version(tensor)
        known = self._kept.get(id(tensor))
        # A container often returns its last child's tensor: the copy is shared, unless something was written since.
        if known is not None and known[0]() is tensor and known[1] == version:
            if known[3] != name:
                self.same_as[name] = known[3]
            return known[2]
        kept = self._copied(tensor)
        if version is not None:
            self._kept[id(tensor)] = (weakref.ref(tensor), version, kept, name)
            if self.options.audit:
                self._watched.append((name, tensor.detach(), version))
        return kept

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

    def overwritten(self) -> tuple[str, ...]:
        """Names whose live tensor was changed in place after it was kept; releases the watched tensors."""
        # A detached twin shares the version counter, which every in-place operation on any alias raises.
        changed = [name for name, tensor, version in self._watched if _version(tensor) != version]
        self._watched.clear()
        return tuple(dict.fromkeys(changed))

    def forget(self) -> None:
        """Drop every reference to live tensors."""
        self._kept.clear()
        self._watched.clear()
        self._storages.clear()


def _version(tensor: Tensor) -> int | None:
    # Inference tensors have no counter.
    return None if tensor.is_inference() else tensor._version


def holds_gradient(value: Any) -> bool:
    """Whether a backward pass can reach any tensor of ``value``."""
    return any(tensor.requires_grad for tensor in tensors_in(value))
