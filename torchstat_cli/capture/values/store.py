"""Known values of meta tensors, each beside its real tensor, and the meta twins of real tensors."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn import Parameter

LIMIT = 1 << 18  # elements; larger values are forgotten

_META = torch.device("meta")  # read faster than the name


@dataclass(slots=True)
class _Known:
    """What is known of one meta tensor."""

    value: torch.Tensor
    reference: weakref.ref[torch.Tensor] | None  # to the meta tensor, with which this goes; None for one that stays
    lent: bool = False  # the value is the model's own tensor, not to be written to
    guessed: bool = False  # it rests on a number that was assumed


class ValueStore:
    """Which meta tensors have known values, and which real tensors have a twin on meta."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}  # by the id of the meta tensor
        self._originals: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # tensors that live on, and their twins
        self._twins: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}

    def clear(self) -> None:
        """Let go of every tensor: at the end of a run, so that none waits for the garbage collector."""
        for held in (self._known, self._originals, self._twins):
            held.clear()

    # --- values ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many meta tensors have known values."""
        return len(self._known)

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of this meta tensor are known."""
        return id(tensor) in self._known

    def knows_all(self, tensors: Iterable[torch.Tensor]) -> bool:
        """Whether the values of all these tensors are known, on meta or for real."""
        return all(not tensor.is_meta or self.knows(tensor) for tensor in tensors)

    def is_guess(self, tensor: torch.Tensor) -> bool:
        """Whether the known value of this meta tensor rests on a number that was assumed."""
        known = self._known.get(id(tensor))
        return known is not None and known.guessed

    def bears_on(self, tensors: Iterable[torch.Tensor], writes: bool) -> bool:
        """Whether a call on ``tensors`` reads nothing but known values, or writes to some, or meets real tensors.

        The other calls, by far the most, neither use nor change what is known.
        """
        known, unknown = self._known, False
        for tensor in tensors:
            if not tensor.is_meta:
                return True
            if id(tensor) not in known:
                unknown = True
            elif writes:
                return True
        return not unknown

    def value(self, tensor: torch.Tensor) -> torch.Tensor:
        """The known value of a meta tensor, the run's own: the run may write to it.

        Raises:
            KeyError: it is not known.
        """
        known = self._known[id(tensor)]
        if known.lent:
            known.value, known.lent = known.value.detach().clone(), False
        return known.value

    def remember(self, tensor: torch.Tensor, value: torch.Tensor, *, lent: bool = False, guessed: bool = False) -> None:
        """``tensor``, which is on meta, has the values of ``value``.

        Args:
            tensor: on meta.
            value: a real tensor.
            lent: ``value`` is the model's own, of which the run gets a copy.
            guessed: it rests on a number that was assumed.
        """
        key = id(tensor)
        reference = weakref.ref(tensor, lambda _: self._known.pop(key, None))
        self._known[key] = _Known(value, reference, lent, guessed)

    def forget(self, tensor: torch.Tensor) -> None:
        """What is known of ``tensor``, and of all that share its memory, is no longer true."""
        known = self._known.get(id(tensor))
        if known is not None:
            storage = known.value.untyped_storage()._cdata
            sharing = [key for key, other in self._known.items() if other.value.untyped_storage()._cdata == storage]
            for key in sharing:
                del self._known[key]

    # --- twins -------------------------------------------------------------------------------------------------------

    def stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """The twin of a real tensor of the model or its inputs, which outlives the run; one on meta is its own."""
        if tensor.is_meta:
            return tensor
        key = id(tensor)
        known = self._originals.get(key)
        if known is not None:
            return known[1]
        twin = meta_like(tensor)
        self._originals[key] = tensor, twin
        if type(tensor) is not Parameter and not _is_parameter(tensor) and _is_small(tensor):
            self._known[id(twin)] = _Known(tensor, None, lent=True)
        return twin

    def stand_ins(self) -> dict[int, torch.Tensor]:
        """Every twin of :meth:`stand_in` so far, by the id of the original."""
        return {key: twin for key, (_, twin) in self._originals.items()}

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
            self.remember(twin, tensor.detach(), lent=True)  # not itself, which may go
        self._twins[key] = (weakref.ref(tensor, lambda _: self._twins.pop(key, None)), twin)
        return twin


def meta_like(tensor: torch.Tensor) -> torch.Tensor:
    """A meta tensor with the shape, strides and dtype of ``tensor``; a parameter stays a parameter."""
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(False):
            return meta_like(tensor)
    kind = type(tensor)
    is_plain = (kind is Parameter or kind is torch.Tensor) and tensor.layout is torch.strided
    if is_plain or is_fake(kind):
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


def is_fake(kind: type) -> bool:
    """Whether its tensors were made under torch's ``FakeTensorMode``: they claim a device and have no values."""
    return kind.__name__ == "FakeTensor"  # the class takes long to import


def _is_small(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu" and 0 <= tensor.numel() <= LIMIT and not is_fake(type(tensor))
