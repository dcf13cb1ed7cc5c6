"""`IntermediateExtractorBase`: keep the last output of some modules while the user runs the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.selection.engines import matching_modules
from torchstat_cli.activations.selection.language import Selector, parse_all, unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.activations.values import copy_tensor, pad_nested
from torchstat_cli.torch_access.eager import eagerly
from torchstat_cli.torch_access.trees import map_tensors
from torchstat_cli.torch_access.wrappers import refuse

Hook = Callable[[nn.Module, Any, Any], None]


class IntermediateExtractorBase:
    """Keeps the last output of some modules, while the user runs the model.

    Args:
        model: any module.
        layer_list: module names, or patterns such as ``"encoder.layer.*"`` and ``"type:Linear"``.
        detach: keep detached copies; False keeps the live tensors with their graph.

    Raises:
        SelectionError: the list is empty, or names no module of this model.
        ModelError: TorchScript or FSDP.
    """

    def __init__(self, model: nn.Module, layer_list: Sequence[str], *, detach: bool = True) -> None:
        self.model = model
        self.detach = detach
        self.hook_handles: dict[str, RemovableHandle] = {}
        self.intermediate_outputs: dict[str, Any] = {}
        self._table = ModuleTable.of(model)
        selectors = parse_all(layer_list, self._table)
        self.layer_list = _layers(selectors, self._table)
        self._named = [selector.pattern for selector in selectors if not selector.is_pattern]
        self._nested_masks: dict[str, Tensor] = {}
        self._session = ExitStack()

    def create_hook(self, layer_name: str) -> Hook:
        """A forward hook that keeps a module's output under ``layer_name``."""

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self.intermediate_outputs[layer_name] = map_tensors(output, lambda tensor: self._kept(layer_name, tensor))

        return hook

    def _kept(self, name: str, tensor: Tensor) -> Tensor:
        if tensor.is_nested:
            tensor, self._nested_masks[name] = pad_nested(tensor)
        return copy_tensor(tensor.detach()) if self.detach else tensor

    def register_hooks(self) -> None:
        """Hook every layer of the list; a layer that is hooked already is left alone.

        While hooked, compiled parts of models run as plain Python: code compiled earlier would ignore the hooks.
        """
        if not self.hook_handles:
            self._session.enter_context(eagerly(self.model))
        for name in self.layer_list:
            if name not in self.hook_handles:
                module = self._table.modules[self._table.first_path(name)]
                refuse(module)
                self.hook_handles[name] = module.register_forward_hook(self.create_hook(name))

    def detach_hooks(self) -> None:
        """Remove this extractor's hooks."""
        for handle in self.hook_handles.values():
            handle.remove()
        self.hook_handles.clear()
        self._session.close()

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
        self.detach_hooks()


def _layers(selectors: Sequence[Selector], table: ModuleTable) -> list[str]:
    """Every named module, patterns expanded, in the order of the list."""
    layers: dict[str, None] = {}
    for selector in selectors:
        found = [selector.pattern] if selector.pattern in table else []
        if selector.kind in ("glob", "re", "type"):
            found = matching_modules(selector, table)
        if not found or selector.indices or selector.part != "output":
            raise unmatched(selector.text, table.candidates)
        layers.update(dict.fromkeys(found))
    return list(layers)
