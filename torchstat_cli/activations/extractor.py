"""`Extractor`: a model's output together with the embeddings of one of its layers, as vit-pytorch gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock, get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.outputs import copy_tensor, first_device
from torchstat_cli.activations.runtime.calling import call_model, check_device
from torchstat_cli.activations.runtime.owned_hooks import OwnedHook, remove_all, remove_with
from torchstat_cli.activations.selection.language import unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import EjectedError
from torchstat_cli.torch_access.eager import eagerly
from torchstat_cli.torch_access.internals import backward_pass
from torchstat_cli.torch_access.transforms import current_level, plain_value
from torchstat_cli.torch_access.trees import map_tensors
from torchstat_cli.torch_access.wrappers import refuse, unwrap


class Extractor(nn.Module):
    """Wraps any model; ``wrapper(*args, **kwargs)`` calls it and returns ``(output, latents)``.

    One extractor may be called in several threads: each call returns its own latents; ``latents`` are those of the call
    that ended last.

    Args:
        vit: the model.
        device: where latents go; None means the device of the first input tensor.
        layer: the module to watch; wins over ``layer_name``.
        layer_name: attribute or dotted path of the module to watch.
        layer_save_input: keep the tuple of positional inputs instead of the output.
        return_embeddings_only: return the latents alone, always.
        detach: keep detached copies; False keeps the live tensors, for training through them.

    Raises:
        TypeError: ``layer`` is no module, or ``layer_name`` no string.
        UsageError: torch knows no such device.
    """

    def __init__(
        self,
        vit: nn.Module,
        device: torch.device | str | None = None,
        layer: nn.Module | None = None,
        layer_name: str = "transformer",
        layer_save_input: bool = False,
        return_embeddings_only: bool = False,
        detach: bool = True,
    ) -> None:
        super().__init__()
        if layer is not None and not isinstance(layer, nn.Module):
            raise TypeError(f"layer must be a module, not {type(layer).__name__}; layer_name takes a name")
        if not isinstance(layer_name, str):
            raise TypeError(f"layer_name must be a string, not {type(layer_name).__name__}")
        check_device(device)
        self.vit = vit
        self.data = None  # always None; vit-pytorch has the attribute
        self.latents: Any = None
        self._calls: dict[int, _Call] = {}  # under way, by thread
        self.hooks: list[RemovableHandle] = []
        self.hook_registered = False
        self.ejected = False
        self.device = device
        # Kept out of the module tree: the layer is a part of ``vit`` already.
        self._layer = (layer,)
        self.layer_name = layer_name
        self.layer_save_input = layer_save_input
        self.return_embeddings_only = return_embeddings_only
        self.detach = detach

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, *args: Any, return_embeddings_only: bool = False, **kwargs: Any) -> Any:
        """``(output, latents)``, or the latents alone; the layer's last call counts.

        Raises:
            EjectedError: after :meth:`eject`, or the layer is not in the model, or it did not run.
            InputError: model and inputs are on different devices.
        """
        if self.ejected:
            raise EjectedError(
                "extractor has been ejected, cannot be used anymore", "make a new Extractor around the model"
            )
        # vit-pytorch's second positional argument.
        if len(args) == 2 and isinstance(args[1], bool):
            return_embeddings_only, args = args[1], args[:1]
        self.clear()
        with _registering:
            if not self.hook_registered:
                self._register_hook()
        call = _Call()
        outer = self._calls.get(get_ident())
        self._calls[get_ident()] = call
        try:
            with eagerly(self.vit):
                output = call_model(self.vit, args, kwargs)
        finally:
            if outer is None:
                del self._calls[get_ident()]
            else:
                self._calls[get_ident()] = outer
        if not call.fired:
            raise EjectedError(
                f"the layer {self._described()} did not run, so there is nothing to extract", "choose another layer"
            )
        self.latents = call.latents
        latents = self._on_device(call.latents, first_device(args, kwargs))
        return latents if return_embeddings_only or self.return_embeddings_only else (output, latents)

    def clear(self) -> None:
        """Forget the latents of the last call."""
        self.latents = None

    def eject(self) -> nn.Module:
        """Take the hook off and give the model back; the wrapper cannot be called afterwards."""
        self.ejected = True
        remove_all(self.hooks)
        self.hooks.clear()
        return self.vit

    @property
    def layer(self) -> nn.Module | None:
        """The module that was given to watch, None where it goes by name."""
        return self._layer[0]

    def _register_hook(self) -> None:
        unwrap(self.vit)  # refuses what cannot be observed, also around a layer that was given itself
        layer = self._find_layer()
        refuse(layer)
        self.hooks.append(layer.register_forward_hook(OwnedHook(self, "_take")))
        self.hook_registered = True
        # A wrapper that is dropped without eject() takes its hook along.
        remove_with(self, self.hooks)

    def _find_layer(self) -> nn.Module:
        if self.layer is not None:
            return self.layer
        table = ModuleTable.of(self.vit)
        if self.layer_name not in table:
            raise EjectedError(
                f"layer whose output to take as embedding not found in vision transformer: {self.layer_name!r}",
                unmatched(self.layer_name, table.modules).hint,
            )
        return table.modules[table.first_path(self.layer_name)]

    def _take(self, _: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        call = self._calls.get(get_ident())
        if call is not None and backward_pass() < 0:
            call.fired = True
            value = inputs if self.layer_save_input else output
            call.latents = map_tensors(value, lambda tensor: self._kept(plain_value(tensor, call.level)), objects=True)

    def _kept(self, tensor: Tensor) -> Tensor:
        return copy_tensor(tensor.detach()) if self.detach else tensor

    def _on_device(self, latents: Any, input_device: torch.device | None) -> Any:
        device = self.device if self.device is not None else input_device
        return latents if device is None else map_tensors(latents, lambda tensor: tensor.to(device), objects=True)

    def _described(self) -> str:
        return repr(self.layer_name) if self.layer is None else type(self.layer).__name__

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_calls": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        remove_with(self, self.hooks)


_registering = Lock()


@dataclass(slots=True)
class _Call:
    """What one call has seen."""

    latents: Any = None
    fired: bool = False  # whether the layer ran
    level: int = field(default_factory=current_level)  # of torch.func transforms around the call
