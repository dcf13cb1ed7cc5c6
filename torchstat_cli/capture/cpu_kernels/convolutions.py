"""What a convolution holds on the CPU while it runs, beyond its arguments and results.

torch hands most convolutions to oneDNN, which copies tensors into layouts of its own (``onednn.py``). The others it
does itself: it lays the input out in columns, one per place where the kernel stands, and multiplies matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from torchstat_cli.capture.cpu_kernels.onednn import Convolution, Copies, forward, input_gradient, weight_gradient
from torchstat_cli.capture.layouts import channels_last
from torchstat_cli.records import OpRecord, Shape, TensorRecord

_NAMES = frozenset(f"aten.conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)) | {
    "aten.convolution",
    "aten.convolution_backward",
}
_LARGE = 20_480  # elements of one image, from which torch hands it to oneDNN
_WIDE = 3  # kernels wider than this go there at any size


@dataclass(frozen=True, slots=True)
class _Call:
    """One operator call on one or more images."""

    plain: Convolution
    input: TensorRecord
    weight: TensorRecord
    output_shape: Shape
    bias: bool
    backward: bool
    wants: tuple[bool, bool, bool]  # of the backward pass: which gradients of input, weight and bias
    by_onednn: bool
    copied: int  # bytes of arguments that torch first lays out anew

    @property
    def result_bytes(self) -> int:
        """Of one forward call."""
        return prod(self.output_shape) * self.input.itemsize

    @property
    def input_bytes(self) -> int:
        return self.input.numel * self.input.itemsize

    @property
    def weight_bytes(self) -> int:
        return self.weight.numel * self.weight.itemsize


def convolution_bytes(record: OpRecord) -> int | None:
    """Most bytes that a convolution holds inside, forward or backward; None for another operator."""
    if record.name not in _NAMES:
        return None
    call = _call(record)
    if not call.input.numel or not call.weight.numel or not prod(call.output_shape):
        return 0
    if call.by_onednn:
        return call.copied + (_onednn_backward(call) if call.backward else _onednn_forward(call))
    return call.copied + (_columns_backward(call) if call.backward else _columns_forward(call))


# --- by oneDNN -------------------------------------------------------------------------------------------------------


def _onednn_forward(call: _Call) -> int:
    """The copies of input and weight beside the result in oneDNN's layout; that result beside its plain copy."""
    conv, size = call.plain, call.input.itemsize
    copies = input_gradient(conv) if conv.transposed else forward(conv)
    made = copies.inner if conv.transposed else copies.outer
    during = copies.inner + copies.weights + copies.outer + copies.work
    if conv.transposed and call.bias and not copies.turned:
        during += made  # the bias is added to a result of its own
    if conv.channels_last:
        return during * size
    return max(during * size - call.result_bytes, _made_plain(copies, made * size, call.result_bytes))


def _onednn_backward(call: _Call) -> int:
    """The gradient of the input, then, beside it, that of the weight."""
    conv, size = call.plain, call.input.itemsize
    wants_input, wants_weight, wants_bias = call.wants
    held = call.input_bytes * wants_input
    results = held + call.weight_bytes * wants_weight
    peak = 0
    if wants_input:
        copies = forward(conv) if conv.transposed else input_gradient(conv)
        made = (copies.outer if conv.transposed else copies.inner) * size
        peak = (copies.inner + copies.weights + copies.outer + copies.work) * size
        if conv.channels_last:
            peak += held
        else:
            peak = max(peak, _made_plain(copies, made, held) + held)
    if wants_weight or wants_bias:
        copies = weight_gradient(conv)
        made = copies.weights * size
        during = (copies.inner + copies.weights + copies.outer + copies.work) * size
        peak = max(peak, held + during, held + _made_plain(copies, made, call.weight_bytes) + call.weight_bytes)
    return max(0, peak - results)


def _made_plain(copies: Copies, made: int, result: int) -> int:
    """A result in oneDNN's layout while torch makes a plain one of it, twice where the order of the axes differs."""
    return made + (result if copies.turned else 0)


# --- by torch itself -------------------------------------------------------------------------------------------------


def _columns_forward(call: _Call) -> int:
    conv, size = call.plain, call.input.itemsize
    if _one_to_one(conv):
        return 0
    columns = conv.columns * size
    if conv.groups == 1:
        images = conv.batch if not conv.dilated and not (conv.transposed and conv.axes == 3) else 1
        return columns * images
    # Group by group, each with a copy of its part of the input; the results are joined at the end.
    return max(call.input_bytes // conv.groups + columns * conv.batch, call.result_bytes)


def _columns_backward(call: _Call) -> int:
    conv, size = call.plain, call.input.itemsize
    if _one_to_one(conv):
        return 0
    return conv.columns * size * (1 if conv.dilated or conv.transposed else conv.batch)


def _one_to_one(conv: Convolution) -> bool:
    """Whether the input is already what the columns would be."""
    return conv.taps == 1 and not conv.strided and not conv.padded and not conv.transposed


# --- the call as it is recorded --------------------------------------------------------------------------------------


def _call(record: OpRecord) -> _Call:
    arguments = record.arguments
    backward = record.name == "aten.convolution_backward"
    input, weight = record.tensor("input"), record.tensor("weight")
    output = record.tensor("grad_output") if backward else record.output
    axes = len(weight.shape) - 2
    batch = input.shape[0] if len(input.shape) == len(weight.shape) else 1
    transposed = bool(arguments.get("transposed", "transpose" in record.name))
    # A transposed convolution runs a plain one backwards, from its results to its input.
    inner, outer = (output, input) if transposed else (input, output)
    padding, reach = arguments["padding"], _ints(arguments["dilation"])[-1] * (weight.shape[-1] - 1)
    plain = Convolution(
        batch=batch,
        groups=int(arguments["groups"]),
        inner=inner.shape[-axes - 1],
        outer=outer.shape[-axes - 1],
        inner_area=prod(inner.shape[-axes:]),
        outer_area=prod(outer.shape[-axes:]),
        outer_plane=prod(outer.shape[-min(axes, 2) :]),
        outer_reach=_reached(outer.shape[-axes:], weight.shape[2:], arguments["stride"]),
        taps=prod(weight.shape[2:]),
        width=weight.shape[-1],
        reach=reach,
        edge=reach // 2 if isinstance(padding, str) else _ints(padding)[-1],
        inner_row=inner.shape[-1],
        outer_row=outer.shape[-1],
        one_row=axes == 1 or inner.shape[-2] == 1,
        axes=max(2, axes),
        strided=_any(arguments["stride"], 1),
        dilated=_any(arguments["dilation"], 1),
        padded=padding == "same" or _any(padding, 0),
        transposed=transposed,
        channels_last=any(channels_last(tensor.shape, tensor.stride) for tensor in (input, weight)),
    )
    mask = arguments.get("output_mask") or (True, True, True)
    given = (input, output, weight) if backward else (input, weight)
    return _Call(
        plain=plain,
        input=input,
        weight=weight,
        output_shape=output.shape,
        bias=record.has_tensor("bias"),
        backward=backward,
        wants=(bool(mask[0]), bool(mask[1]), bool(mask[2])),
        by_onednn=_taken_by_onednn(record, plain, input, weight),
        copied=sum(_bytes_to_copy(tensor, plain.channels_last) for tensor in given),
    )


def _taken_by_onednn(record: OpRecord, conv: Convolution, input: TensorRecord, weight: TensorRecord) -> bool:
    """torch's own conditions, for a CPU with two threads and arithmetic in bfloat16 but not in float16."""
    if conv.transposed:
        extra, stride = _ints(record.arguments["output_padding"]), _ints(record.arguments["stride"])
        if any(more >= step for more, step in zip(extra, stride * len(extra), strict=False)):
            return False
    if input.dtype == "bfloat16":
        return True
    if input.dtype != "float32":
        return False
    first = prod(input.shape[:4])  # of an image with depth, torch leaves the last axis out
    kernel = weight.shape[2:] if len(weight.shape) > 3 else (1, *weight.shape[2:])
    return bool(conv.groups > 1 or (kernel[-1] > _WIDE and kernel[-2] > _WIDE) or conv.batch > 1 or first > _LARGE)


def _reached(sizes: Shape, kernel: Shape, stride: Any) -> int:
    """Places of an image and around it, as far as the kernel reaches over when it is moved by single places."""
    steps = _ints(stride) * len(sizes)
    return prod(size + (width - 1) // step for size, width, step in zip(sizes, kernel, steps, strict=False))


def _bytes_to_copy(tensor: TensorRecord, channels_last: bool) -> int:
    """Bytes of a copy in the order that is wanted; 0 where the tensor has it."""
    axes = range(len(tensor.shape) - 1, -1, -1)
    order = (1, *(axis for axis in axes if axis > 1), 0) if channels_last and len(tensor.shape) > 3 else tuple(axes)
    expected = 1
    for axis in order:
        if tensor.shape[axis] != 1:
            if tensor.stride[axis] != expected:
                return tensor.numel * tensor.itemsize
            expected *= tensor.shape[axis]
    return 0


def _any(value: Any, than: int) -> bool:
    return any(item > than for item in _ints(value)) if not isinstance(value, str) else False


def _ints(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (int(value),)
