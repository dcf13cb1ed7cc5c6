"""The base of `IntermediateExtractor`: keep the last outputs of some modules, and attention maps, in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.outputs import copy_tensor, pad_nested
from torchstat_cli.activations.runtime.maps_alone import SelectedMaps, watching
from torchstat_cli.activations.runtime.owned_hooks import OwnedHook, remove_all
from torchstat_cli.activations.runtime.thread_store import ThreadStore
from torchstat_cli.activations.selection.engines import selected_modules
from torchstat_cli.activations.selection.language import parse_all
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.torch_access.eager import eagerly, room_for_hooks
from torchstat_cli.torch_access.internals import backward_pass
from torchstat_cli.torch_access.interrupts import held_back, to_the_end
from torchstat_cli.torch_access.transforms import plain_value
from torchstat_cli.torch_access.trees import map_tensors
from torchstat_cli.torch_access.wrappers import refuse

Hook = Callable[[nn.Module, Any, Any], None]


class IntermediateExtractorBase:
    """Keeps the last output of some modules, while the user runs the model; each thread has the outputs of its calls.

    Args:
        model: any module.
        layer_list: module names, or patterns such as ``"encoder.layer.*"`` and ``"type:Linear"``; ``"attn"`` and
            ``"attn:encoder.*"`` are attention maps, of calls in the thread that registers the hooks.
        detach: keep detached copies; False keeps the live tensors with their graph.

    Raises:
        SelectionError: the list is empty, or names no module of this model.
        ModelError: TorchScript or FSDP.
    """

    def __init__(self, model: nn.Module, layer_list: Sequence[str], *, detach: bool = True) -> None:
        self.model = model
        self.detach = detach
        self.hook_handles: dict[str, RemovableHandle] = {}
        self._store = ThreadStore()
        self._table = ModuleTable.of(model)
        selectors = parse_all(layer_list, self._table)
        self._maps = [selector for selector in selectors if selector.kind == "attn"]
        self.layer_list = selected_modules([s for s in selectors if s.kind != "attn"], self._table)
        self._named = [selector.pattern for selector in selectors if not selector.is_pattern]
        self._session = ExitStack()
        self._is_attached = False
        weakref.finalize(self, _drop, self.hook_handles, self._session).atexit = False

    @property
    def intermediate_outputs(self) -> dict[str, Any]:
        """Layer name to last output, of this thread's calls; of the latest call in a thread that made none."""
        return self._store.here.outputs

    @intermediate_outputs.setter
    def intermediate_outputs(self, outputs: dict[str, Any]) -> None:
        self._store.here.outputs = outputs

    def create_hook(self, layer_name: str) -> Hook:
        """A forward hook that keeps a module's output under ``layer_name``; it does not keep this extractor alive."""
        return OwnedHook(self, "_keep", layer_name)

    def _keep(self, layer_name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if backward_pass() < 0:  # a checkpointed module runs again there
            kept = map_tensors(output, lambda tensor: self._kept(layer_name, plain_value(tensor, 0)), objects=True)
            self._store.own.outputs[layer_name] = kept

    def _keep_map(self, name: str, maps: Tensor) -> None:
        self._store.own.outputs[name] = maps

    def _kept(self, name: str, tensor: Tensor) -> Tensor:
        if tensor.is_nested:
            tensor, self._store.own.nested_masks[name] = pad_nested(tensor)
        return copy_tensor(tensor.detach()) if self.detach else tensor

    def register_hooks(self) -> None:
        """Hook every layer of the list; a layer that is hooked already is left alone.

        While hooked, compiled parts of models run as plain Python: code compiled earlier would ignore the hooks.
        """
        modules = {name: self._table.modules[self._table.first_path(name)] for name in self.layer_list}
        for module in modules.values():
            refuse(module)
        try:
            with held_back():
                if not self._is_attached:
                    self._is_attached = True
                    self._begin()
                for name, module in modules.items():
                    if name not in self.hook_handles:
                        self.hook_handles[name] = module.register_forward_hook(self.create_hook(name))
        except BaseException:
            self.detach_hooks()
            raise

    def _begin(self) -> None:
        """What is in place while any hook is."""
        self._session.enter_context(room_for_hooks())
        self._session.enter_context(eagerly(self.model))
        if self._maps:
            self._session.enter_context(
                watching(self.model, self._table, SelectedMaps(self._maps, OwnedHook(self, "_keep_map")))
            )

    def detach_hooks(self) -> None:
        """Remove this extractor's hooks."""
        to_the_end(self._detach)

    def _detach(self) -> None:
        self._is_attached = False
        _drop(self.hook_handles, self._session)

    def clear_all_hooks(self) -> None:
        """Remove all hooks of this extractor from the model; other people's hooks are none of its business."""
        self.detach_hooks()

    def get_outputs(self) -> dict[str, Any]:
        """The live dictionary from layer name to last output."""
        return self.intermediate_outputs

    def __enter__(self) -> IntermediateExtractorBase:
        self.register_hooks()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.detach_hooks()
        except BaseException:  # an interrupt on the way
            self.detach_hooks()
            raise


def _drop(handles: dict[str, RemovableHandle], session: ExitStack) -> None:
    remove_all(handles.values())
    handles.clear()
    session.close()
