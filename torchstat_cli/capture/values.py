"""Small known values carried beside meta tensors.

Models ask tensors for values: is the mask all ones, how long is the sequence. A meta tensor has none. But where every
input of an operator is known (a constant, an index table, the integer inputs of the dummy run), the operator can be run
for real on the side, and the answer is exact.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch._ops import OpOverload

from torchstat_cli.capture.operators import operator_name
from torchstat_cli.capture.trees import map_tensors, tensors_in
from torchstat_cli.errors import ModelError

_LIMIT = 1 << 18  # elements; larger values are forgotten
_DATA_DEPENDENT = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})


class ValueUnknownError(ModelError):
    """The model asked for a value that a meta tensor does not have; the run needs real tensors."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an operator that needed values."""

    result: Any


class KnownValues:
    """Meta tensors whose values are known, each beside a real tensor on the CPU."""

    def __init__(self) -> None:
        self.used = False  # a question was answered
        self._values: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}
        self._twins: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}

    def remember(self, tensor: torch.Tensor, value: torch.Tensor) -> None:
        """``tensor``, which is on meta, has the values of ``value``."""
        key = id(tensor)
        self._values[key] = (weakref.ref(tensor, lambda _: self._values.pop(key, None)), value)

    def twin(self, tensor: torch.Tensor) -> torch.Tensor:
        """A meta tensor like the real ``tensor``, the same one each time; its value is known when it is small."""
        known = self._twins.get(id(tensor))
        if known is not None and known[0]() is tensor:
            return known[1]
        twin = meta_like(tensor)
        if 0 <= tensor.numel() <= _LIMIT and tensor.device.type == "cpu" and not isinstance(tensor, torch.nn.Parameter):
            self.remember(twin, tensor.detach().clone())  # a copy: the run may write to it
        key = id(tensor)
        self._twins[key] = (weakref.ref(tensor, lambda _: self._twins.pop(key, None)), twin)
        return twin

    def on_meta(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with stray real tensors moved to meta, where a meta tensor is among them."""
        real = meta = False
        for value in tensors_in((args, kwargs)):
            if value.is_meta:
                meta = True
            else:
                real = True
        if not (real and meta):
            return args, kwargs
        return map_tensors((args, kwargs), lambda tensor: tensor if tensor.is_meta else self.twin(tensor))  # type: ignore[no-any-return]

    def answer(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Answer | None:
        """The result of an operator that needs values; None for operators that do not.

        Raises:
            ValueUnknownError: a value is needed and not known.
        """
        if not _DATA_DEPENDENT.intersection(func.tags) or not any(t.is_meta for t in tensors_in((args, kwargs))):
            return None
        if operator_name(func) == "aten.index" and not any(t.dtype in (torch.bool, torch.uint8) for t in tensors_in(args[1])):
            return None  # integer indices: the shape of the result is known
        return self._answer(func, args, kwargs)

    def rescue(
        self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
    ) -> Answer | None:
        """The result of an operator whose meta kernel failed for want of values; None where that was not the reason.

        Raises:
            ValueUnknownError: a value is needed and not known.
        """
        if not isinstance(error, NotImplementedError) and "meta tensor" not in str(error):
            return None
        if self._real_arguments(args, kwargs) is None and "meta tensor" not in str(error):
            return None  # an operator without a meta kernel: its values would not help
        return self._answer(func, args, kwargs)

    def _answer(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Answer:
        real = self._real_arguments(args, kwargs)
        if real is None:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors_in((args, kwargs)))
            raise ValueUnknownError(
                f"{operator_name(func)} needs the values of a tensor of shape {shapes}, and meta tensors have none"
            )
        self.used = True
        result = func(*real[0], **real[1])
        return Answer(map_tensors(result, self.twin))

    def follow(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Keep the values up to date after ``func`` ran on meta: known in, known out; unknown written in, forgotten."""
        outputs = list(tensors_in(result))
        if not outputs or not outputs[0].is_meta:
            return
        if self._values or not any(True for _ in tensors_in((args, kwargs))):
            real = None
            if torch.Tag.nondeterministic_seeded not in func.tags and all(t.numel() <= _LIMIT for t in outputs):
                real = self._real_arguments(args, kwargs)
            if real is not None and not _creates_garbage(func):
                values = tensors_in(func(*real[0], **real[1]))
                for tensor, value in zip(outputs, values, strict=True):
                    self.remember(tensor, value)
            elif func._schema.is_mutable:
                self._forget_written(func, args, kwargs)

    def _real_arguments(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The arguments on the CPU, or None when a value is not known."""
        for tensor in tensors_in((args, kwargs)):
            if tensor.is_meta and id(tensor) not in self._values:
                return None
        real_args, real_kwargs = map_tensors((args, kwargs), lambda t: self._values[id(t)][1] if t.is_meta else t)
        if real_kwargs.get("device") is not None:
            real_kwargs["device"] = torch.device("cpu")
        return tuple(_off_meta(value) for value in real_args), real_kwargs

    def _forget_written(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for position, argument in enumerate(func._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            written = args[position] if position < len(args) else kwargs.get(argument.name)
            for tensor in tensors_in(written):
                known = self._values.get(id(tensor))
                if known is not None:
                    storage = known[1].untyped_storage()._cdata
                    sharing = [k for k, (_, value) in self._values.items() if value.untyped_storage()._cdata == storage]
                    for key in sharing:
                        del self._values[key]


def meta_like(tensor: torch.Tensor) -> torch.Tensor:
    """A meta tensor with the shape, strides and dtype of ``tensor``; a parameter stays a parameter."""
    with torch.inference_mode(False), torch.no_grad():
        if tensor.layout is torch.strided and type(tensor) in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
            twin = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")
        else:
            twin = tensor.detach().to("meta")
        if isinstance(tensor, torch.nn.Parameter):
            return torch.nn.Parameter(twin, requires_grad=tensor.requires_grad)
        return twin.requires_grad_(tensor.requires_grad) if tensor.is_leaf else twin


def _creates_garbage(func: OpOverload) -> bool:
    return func._opname.startswith(("empty", "new_empty", "_efficientzerotensor"))


def _off_meta(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, torch.device) else value
