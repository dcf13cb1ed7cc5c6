"""Known values of meta tensors, each beside its real tensor, and the meta twins of real tensors."""

from __future__ import annotations

import weakref

import torch
from torch.nn import Parameter

LIMIT = 1 << 18  # elements; larger values are forgotten

_META = torch.device("meta")  # read faster than the name


class ValueStore:
    """Which meta tensors have known values, and which real tensors have a twin on meta."""

    def __init__(self) -> None:
        self.limit = LIMIT  # elements
        self._values: dict[int, tuple[weakref.ref[torch.Tensor] | None, torch.Tensor]] = {}
        self._lent: set[int] = set()  # ids of those whose real tensor is the model's own, not to be written to
        self._originals: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # tensors that live on, and their twins
        self._twins: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of this meta tensor are known."""
        return id(tensor) in self._values

    def value(self, tensor: torch.Tensor) -> torch.Tensor:
        """The known value of a meta tensor, the run's own: the run may write to it.

        Raises:
            KeyError: it is not known.
        """
        key = id(tensor)
        reference, value = self._values[key]
        if key in self._lent:
            self._lent.discard(key)
            value = value.detach().clone()
            self._values[key] = reference, value
        return value

    def remember(self, tensor: torch.Tensor, value: torch.Tensor) -> None:
        """``tensor``, which is on meta, has the values of ``value``."""
        key = id(tensor)
        self._lent.discard(key)
        self._values[key] = (weakref.ref(tensor, lambda _: self._values.pop(key, None)), value)

    def stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """The twin of a real tensor of the model or its inputs, which outlives the run."""
        key = id(tensor)
        known = self._originals.get(key)
        if known is not None:
            return known[1]
        twin = meta_like(tensor)
        self._originals[key] = tensor, twin
        if type(tensor) is not Parameter and not _is_parameter(tensor) and _is_small(tensor):
            self._values[id(twin)] = None, tensor
            self._lent.add(id(twin))
        return twin

    def twin(self, tensor: torch.Tensor) -> torch.Tensor:
        """A meta tensor like the real ``tensor``, the same one each time; its value is known when it is small."""
        key = id(tensor)
        if key in self._originals or _is_parameter(tensor):
            return self.stand_in(tensor)
        known = self._twins.get(key)
        if known is not None and known[0]() is tensor:
            return known[1]
        twin = meta_like(tensor)
        if _is_small(tensor):
            self.remember(twin, tensor.detach())  # not itself, which may go
            self._lent.add(id(twin))
        self._twins[key] = (weakref.ref(tensor, lambda _: self._twins.pop(key, None)), twin)
        return twin

    def forget(self, tensor: torch.Tensor) -> None:
        """What is known of ``tensor``, and of all that share its memory, is no longer true."""
        known = self._values.get(id(tensor))
        if known is not None:
            storage = known[1].untyped_storage()._cdata
            sharing = [k for k, (_, value) in self._values.items() if value.untyped_storage()._cdata == storage]
            for key in sharing:
                del self._values[key]


def meta_like(tensor: torch.Tensor) -> torch.Tensor:
    """A meta tensor with the shape, strides and dtype of ``tensor``; a parameter stays a parameter."""
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(False):
            return meta_like(tensor)
    kind = type(tensor)
    if (kind is Parameter or kind is torch.Tensor) and tensor.layout is torch.strided:
        twin = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=_META)
        if kind is Parameter:
            twin.__class__ = Parameter  # the constructor makes a second tensor for it
            twin.requires_grad = tensor.requires_grad
            return twin
    else:
        twin = _meta_parts(tensor.detach())
    if isinstance(tensor, Parameter):
        return Parameter(twin, requires_grad=tensor.requires_grad)
    return twin.requires_grad_() if tensor.requires_grad and tensor.is_leaf else twin


def _meta_parts(tensor: torch.Tensor) -> torch.Tensor:
    """A meta tensor of the same layout; a sparse one stores as many elements, of which ``to("meta")`` keeps none."""
    if tensor.layout is torch.sparse_coo:
        parts = tensor._indices().to(_META), tensor._values().to(_META)
        return torch.sparse_coo_tensor(*parts, tensor.shape, is_coalesced=tensor.is_coalesced(), check_invariants=False)
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = tensor.crow_indices().to(_META), tensor.col_indices().to(_META)
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = tensor.ccol_indices().to(_META), tensor.row_indices().to(_META)
    else:
        return tensor.to(_META)
    values, layout = tensor.values().to(_META), tensor.layout
    return torch.sparse_compressed_tensor(*parts, values, tensor.shape, layout=layout, check_invariants=False)


def _is_parameter(tensor: torch.Tensor) -> bool:
    kind = type(tensor)
    return kind is Parameter or (kind is not torch.Tensor and isinstance(tensor, Parameter))  # the latter is slow


def _is_small(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and 0 <= tensor.numel() <= LIMIT
