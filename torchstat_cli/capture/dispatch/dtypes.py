"""Refuse what real kernels refuse: torch's meta kernels let some wrong dtypes pass, and a run fails only later."""

from __future__ import annotations

import torch

from torchstat_cli.torch_access.internals import OpOverload

_ONE_DTYPE = frozenset(
    (
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution"),
        *("linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "mv", "addmv"),
    )
)
_FLOATING = frozenset(
    (
        *("batch_norm", "native_batch_norm", "gelu", "silu"),
        *("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"),
    )
)


def refuse_wrong_dtypes(func: OpOverload, tensors: list[torch.Tensor]) -> None:
    """Raise what the operator would raise on real tensors of these dtypes.

    Raises:
        RuntimeError: the operands of a contraction differ in dtype, or an integer tensor meets a floating operator.
    """
    if func.namespace != "aten" or not tensors:
        return
    if func._opname in _ONE_DTYPE:
        dtypes = list(dict.fromkeys(str(tensor.dtype).removeprefix("torch.") for tensor in tensors))
        if len(dtypes) > 1:
            raise RuntimeError(f"{func._opname} expects one dtype, but got {' and '.join(dtypes)}")
    elif func._opname in _FLOATING and not (tensors[0].is_floating_point() or tensors[0].is_complex()):
        dtype = str(tensors[0].dtype).removeprefix("torch.")
        raise RuntimeError(f"{func._opname} expects a floating dtype, but got {dtype}")
