"""What each module registers: its parameters, its buffers and its settings, as they were before anything is swapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Parameter, is_lazy

from torchstat_cli.capture.instrumentation.buffers import BUFFER_NAME, MetadataRow
from torchstat_cli.capture.instrumentation.leaves import Site, own_attributes, plain_attributes
from torchstat_cli.records import ModuleFacts, OwnedTensor
from torchstat_cli.torch_access.packed_weights import Part, has_packed_weight, joined_weights
from torchstat_cli.torch_access.quantized import amounts, raw_bytes


class ModuleRegistries:
    """The tensors and settings of every module of a model, taken when it is made."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.twins: dict[int, int] = {}  # the id of every stand-in, by the id of the original
        self._sites = sites
        self._parameters = [_owned(site.module._parameters) for site in sites]
        self._buffers = [_owned(site.module._buffers) for site in sites]
        own = [own_attributes(site.module) for site in sites]
        self._settings = [plain_attributes(attributes) for attributes in own]
        self._packed = sum(map(_holds_packed, own))

    def notices(self) -> tuple[str, ...]:
        """What these registries hold that no count of parameters or buffers can see."""
        return (*self._packed_notice(), *self._hidden_notice())

    def _hidden_notice(self) -> tuple[str, ...]:
        if all(site.takes_hooks for site in self._sites):
            return ()
        return (
            "TorchScript hides its modules: their rows show parameters alone, and what they do counts in the row above",
        )

    def _packed_notice(self) -> tuple[str, ...]:
        if not self._packed:
            return ()
        modules = "1 module" if self._packed == 1 else f"{self._packed} modules"
        return (f"the weights of {modules} are packed, neither parameters nor buffers, and params does not count them",)

    def originals(self, touched: set[int]) -> set[int]:
        """The ids of the original tensors behind the ids that the tape saw."""
        back = {twin: original for original, twin in self.twins.items()}
        return {back.get(key, key) for key in touched}

    def of(self, index: int, row: MetadataRow, touched: set[int]) -> ModuleFacts:
        """Everything known of one module."""
        site, seen = self._sites[index], row.read()
        parameters = tuple([_record(name, tensor, touched) for name, tensor in self._parameters[index]])
        buffers = tuple([_record(name, tensor, touched) for name, tensor in self._buffers[index]])
        packed = buffers or (parameters and not parameters[0].trainable)  # a quick look: packed weights are not trained
        if packed and has_packed_weight([tensor.name for tensor in (*parameters, *buffers)]):
            tensors = dict([*self._parameters[index], *self._buffers[index]])
            parameters, buffers = _with_weights(parameters, buffers, tensors)
        return ModuleFacts(
            site.path,
            type(site.module).__name__,
            site.is_leaf,
            seen.calls,
            seen.input_shape,
            seen.output_shape,
            seen.dtype,
            self._settings[index],
            parameters,
            buffers,
            not site.takes_hooks,
        )


def _holds_packed(own: list[tuple[str, Any]]) -> bool:
    """Whether torch.ao put quantised weights among a module's own attributes, in the form that its kernels want."""
    return torch.ScriptObject in [type(value) for _, value in own]


_NOTHING: list[tuple[str, Tensor]] = []


def _owned(registry: Any) -> Sequence[tuple[str, Tensor]]:
    """What the model owns; the rows of a session around this one, or copied with a module, are not the model's."""
    if not registry:
        return _NOTHING
    return [
        (name, tensor) for name, tensor in registry.items() if tensor is not None and not name.startswith(BUFFER_NAME)
    ]


def _with_weights(
    parameters: tuple[OwnedTensor, ...], buffers: tuple[OwnedTensor, ...], tensors: Mapping[str, Tensor]
) -> tuple[tuple[OwnedTensor, ...], tuple[OwnedTensor, ...]]:
    """Parameters and buffers, with what is packed into buffers as the weights that these stand for."""
    owned = {tensor.name: tensor for tensor in (*parameters, *buffers)}
    parts = {name: Part(tensor.shape, tensor.dtype, tensor.nbytes) for name, tensor in owned.items()}
    weights = joined_weights(parts, lambda name: raw_bytes(tensors[name]))
    inside = {name for weight in weights for name in weight.parts}
    made = [
        OwnedTensor(
            weight.name,
            owned[weight.parts[0]].key,
            weight.numel,
            weight.nbytes,
            trainable=False,
            touched=any(owned[name].touched for name in weight.parts),
            shape=weight.shape,
            dtype=weight.dtype,
        )
        for weight in weights
    ]
    return (
        (*made, *(tensor for tensor in parameters if tensor.name not in inside)),
        tuple(tensor for tensor in buffers if tensor.name not in inside),
    )


@cache
def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _record(name: str, tensor: Tensor, touched: set[int]) -> OwnedTensor:
    key, kind = id(tensor), type(tensor)
    if kind is Parameter or kind is Tensor:
        numel = tensor.numel()
        nbytes = numel * tensor.element_size()
    elif is_lazy(tensor):
        return OwnedTensor(name, key, 0, 0, tensor.requires_grad, key in touched)
    else:
        numel, nbytes = amounts(tensor)
    shape = () if tensor.is_nested else tuple(tensor.shape)
    return OwnedTensor(name, key, numel, nbytes, tensor.requires_grad, key in touched, shape, _dtype_name(tensor.dtype))
