"""`IntermediateExtractor`: keep outputs, pool them over the sequence, save them as activation-extractor does."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from torchstat_cli.activations.attention.choosing import may_select
from torchstat_cli.activations.intermediate_base import IntermediateExtractorBase
from torchstat_cli.activations.runtime.owned_hooks import OwnedHook
from torchstat_cli.activations.saving.arrays import main_tensor, plain, to_numpy, widened
from torchstat_cli.activations.saving.files import (
    check_id,
    check_save_method,
    id_folder,
    reset_folder,
    write_array,
    write_dtypes,
)
from torchstat_cli.activations.saving.pooling import check_format, reformat
from torchstat_cli.activations.selection.language import unmatched
from torchstat_cli.errors import SelectionError
from torchstat_cli.torch_access.wrappers import unwrap

_REAL_MASKS = ("attention_mask",)  # non-zero marks a real token
_PADDING_MASKS = ("src_key_padding_mask", "key_padding_mask")  # True marks padding


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
                    self._dtypes[name] = _dtype_name(tensor)
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
        to the bit; for numpy they are widened to float32 and noted in ``dtypes.json``, as are quantized outputs, which
        are dequantized for either). A map's tokens are its queries, whatever ``sequence_axis`` is. ``reset`` first
        deletes what was saved there before. Afterwards the kept outputs are numpy arrays, unless safetensors were
        written. What cannot stand in a file's name is written as in a URL: ``en/de`` becomes ``en%2Fde.npz``.

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
                array = self._tensor(name, value) if save_method == "safetensors" else self._array(name, value)
                mask = self._store.here.nested_masks.get(name, self.mask)
                # The sequence of a map, which follows its heads, is the queries.
                axis = -2 if self._maps and name.startswith("attn:") else sequence_axis
                pooled = self.emb_reformatting(array, emb_format, axis, custom_position, mask=mask)
                write_array(folder, name, pooled, save_method)
            write_dtypes(folder, self._dtypes)

    def _check_named(self) -> None:
        found = [name.removeprefix("attn:") for name in self.intermediate_outputs if name.startswith("attn:")]
        for selector in self._maps:
            if not any(may_select(selector, name) for name in found):
                raise SelectionError(
                    f"{selector.text!r} found no attention: no fused kernel, MultiheadAttention or softmax in an "
                    "attention module ran",
                    "run the model while the hooks are registered, or choose layers by name",
                )
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
            self._dtypes[name] = _dtype_name(tensor)
        return to_numpy(tensor)

    def _tensor(self, name: str, value: Any) -> Tensor:
        """One output as a tensor that safetensors can hold."""
        tensor = main_tensor(name, value)
        if tensor.is_quantized:
            self._dtypes[name] = _dtype_name(tensor)
        return plain(tensor)


def _dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
