"""`IntermediateExtractor`: keep outputs, pool them over the sequence, save them as activation-extractor does."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.outputs import copy_tensor, pad_nested
from torchstat_cli.activations.runtime.owned_hooks import OwnedHook, remove_all
from torchstat_cli.activations.runtime.thread_store import ThreadStore
from torchstat_cli.activations.saving.arrays import main_tensor, to_numpy, widened
from torchstat_cli.activations.saving.files import (
    check_id,
    check_save_method,
    id_folder,
    reset_folder,
    write_array,
    write_dtypes,
)
from torchstat_cli.activations.saving.pooling import check_format, reformat
from torchstat_cli.activations.selection.engines import selected_modules
from torchstat_cli.activations.selection.language import parse_all, unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import SelectionError
from torchstat_cli.torch_access.eager import eagerly, room_for_hooks
from torchstat_cli.torch_access.internals import backward_pass
from torchstat_cli.torch_access.interrupts import held_back, to_the_end
from torchstat_cli.torch_access.transforms import plain_value
from torchstat_cli.torch_access.trees import map_tensors
from torchstat_cli.torch_access.wrappers import refuse, unwrap

Hook = Callable[[nn.Module, Any, Any], None]

_REAL_MASKS = ("attention_mask",)  # non-zero marks a real token
_PADDING_MASKS = ("src_key_padding_mask", "key_padding_mask")  # True marks padding


class IntermediateExtractorBase:
    """Keeps the last output of some modules, while the user runs the model; each thread has the outputs of its calls.

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
        self._store = ThreadStore()
        self._table = ModuleTable.of(model)
        selectors = parse_all(layer_list, self._table)
        self.layer_list = selected_modules(selectors, self._table)
        self._named = [selector.pattern for selector in selectors if not selector.is_pattern]
        self._session = ExitStack()
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
            kept = map_tensors(output, lambda tensor: self._kept(layer_name, plain_value(tensor, 0)))
            self._store.own.outputs[layer_name] = kept

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
                if not self.hook_handles:
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

    def detach_hooks(self) -> None:
        """Remove this extractor's hooks."""
        to_the_end(self._detach)

    def _detach(self) -> None:
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


class IntermediateExtractor(IntermediateExtractorBase):
    """Also turns the outputs into arrays, pools them over the sequence and saves them.

    A mask that the model is called with (``attention_mask``, ``src_key_padding_mask``) is noticed, and pooling leaves
    padding out. ``mask`` can be set by hand: (batch, tokens), non-zero for real tokens.
    ``compat="activation-extractor"`` pools over padding too, as the original does.
    """

    def __init__(
        self,
        model: nn.Module,
        layer_list: Sequence[str],
        *,
        detach: bool = True,
        compat: Literal["activation-extractor"] | None = None,
    ) -> None:
        super().__init__(model, layer_list, detach=detach)
        if compat not in (None, "activation-extractor"):
            raise SelectionError(f"there is no compat mode {compat!r}", "leave it out, or write 'activation-extractor'")
        self.compat = compat

    @property
    def mask(self) -> Any:
        """(batch, tokens), non-zero for real tokens; None where the model was called without."""
        return self._store.here.mask

    @mask.setter
    def mask(self, mask: Any) -> None:
        self._store.here.mask = mask

    @property
    def _dtypes(self) -> dict[str, str]:
        return self._store.here.dtypes

    def _begin(self) -> None:
        super()._begin()
        # The model's own inputs are watched for its mask.
        handle = unwrap(self.model).register_forward_pre_hook(OwnedHook(self, "_notice_mask"), with_kwargs=True)
        self._session.callback(handle.remove)

    def _notice_mask(self, module: nn.Module, args: Any, kwargs: Any = None) -> None:
        kept = self._store.own
        kept.nested_masks.clear()
        kept.dtypes.clear()
        given = inspect.signature(module.forward).bind_partial(*args, **(kwargs or {})).arguments
        given.update(given.get("kwargs", {}))
        kept.mask = None
        for name in (*_REAL_MASKS, *_PADDING_MASKS):
            mask = given.get(name)
            if isinstance(mask, Tensor) and mask.dim() == 2:
                kept.mask = mask.detach() if name in _REAL_MASKS else ~mask.detach().bool()
                return

    def gpu_to_cpu(self) -> None:
        """Replace every kept output by a numpy array of its main tensor; dtypes that numpy lacks become float32.

        Raises:
            OutputError: an output without any tensor.
            SelectionError: a layer that was named did not run.
        """
        self._check_named()
        for name, value in self.intermediate_outputs.items():
            if isinstance(value, Tensor) or not hasattr(value, "__array__"):
                tensor = main_tensor(name, value)
                if widened(tensor):
                    self._dtypes[name] = str(tensor.dtype).removeprefix("torch.")
                self.intermediate_outputs[name] = to_numpy(tensor)

    def emb_reformatting(
        self,
        outputs: Any,
        emb_format: str = "full",
        sequence_axis: int = 1,
        custom_position: int | None = None,
        *,
        mask: Any = None,
    ) -> Any:
        """``outputs`` as "full", "mean", "LT" (last token), "FT" (first) or "custom"; see :func:`~.pooling.reformat`.

        Raises:
            SelectionError: no such format, or "custom" without a position.
        """
        if self.compat is None:
            check_format(emb_format, custom_position)
        else:
            check_format(emb_format, 0)
            mask = None
        return reformat(outputs, emb_format, sequence_axis, custom_position, mask)

    def save_outputs(
        self,
        output_folder: str | Path,
        output_id: str,
        reset: bool = False,
        move_to_cpu: bool = True,
        save_method: str = "numpy_compressed",
        emb_formats: Sequence[str] = ("LT", "FT"),
        sequence_axis: int = 1,
        custom_position: int | None = None,
    ) -> None:
        """Write every kept output to ``<output_folder>/<format>/<output_id>/<layer>.npz``.

        ``save_method`` is "numpy_compressed" (.npz), "numpy" (.npy) or "safetensors" (keeps bfloat16 and 8-bit floats
        to the bit; for numpy they are widened to float32 and noted in ``dtypes.json``). ``reset`` first deletes what
        was saved there before. Afterwards the kept outputs are numpy arrays, unless safetensors were written. What
        cannot stand in a file's name is written as in a URL: ``en/de`` becomes ``en%2Fde.npz``.

        Raises:
            SelectionError: an unknown format or method, or a layer that was named did not run; nothing is written then.
            OutputError: the id leads out of the folder, a file cannot be written, or ``reset`` finds anything that was
                not saved here; then nothing is deleted.
        """
        formats = [emb_formats] if isinstance(emb_formats, str) else list(emb_formats)
        check_save_method(save_method)
        for emb_format in formats:
            check_format(emb_format, 0 if self.compat else custom_position)
        if not self.intermediate_outputs:
            raise SelectionError("nothing has been kept to save", "register_hooks(), then run the model")
        self._check_named()
        if move_to_cpu and save_method != "safetensors":
            self.gpu_to_cpu()
        for emb_format in formats:
            check_id(output_folder, emb_format, output_id)
        if reset:
            reset_folder(output_folder)
        for emb_format in formats:
            folder = id_folder(output_folder, emb_format, output_id)
            for name, value in self.intermediate_outputs.items():
                array = main_tensor(name, value) if save_method == "safetensors" else self._array(name, value)
                mask = self._store.here.nested_masks.get(name, self.mask)
                pooled = self.emb_reformatting(array, emb_format, sequence_axis, custom_position, mask=mask)
                write_array(folder, name, pooled, save_method)
            write_dtypes(folder, {} if save_method == "safetensors" else self._dtypes)

    def _check_named(self) -> None:
        for name in self._named:
            if name not in self.intermediate_outputs:
                hint = unmatched(name, self.intermediate_outputs).hint
                raise SelectionError(f"{name!r} was selected but never ran", hint)

    def _array(self, name: str, value: Any) -> Any:
        """One output as an array, the kept one left as it is."""
        if not isinstance(value, Tensor) and hasattr(value, "__array__"):
            return value
        tensor = main_tensor(name, value)
        if widened(tensor):
            self._dtypes[name] = str(tensor.dtype).removeprefix("torch.")
        return to_numpy(tensor)
