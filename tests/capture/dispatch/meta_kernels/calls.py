"""Random calls of every operator that has a metadata rule, most of them legal."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import torch

from tests.capture.dispatch.meta_kernels.layouts import broadcastable, dtype, either, near, shape, tensor

Call = tuple[tuple[Any, ...], dict[str, Any]]

_SCALARS = (0, 1, 2, 0.5, -1, True, 2.5)


def call(random: Random, name: str) -> Call:
    """Arguments for the operator that torch's schema calls ``name``, as in ``aten::add.Tensor``."""
    packet, _, overload = name.removeprefix("aten::").partition(".")
    if packet in _CALLS:
        return _CALLS[packet](random)
    if overload == "Tensor" or packet in ("maximum", "minimum"):
        return _binary(random, packet)
    return _unary(random, packet, overload)


def _unary(random: Random, packet: str, overload: str) -> Call:
    given = tensor(random, shape(random))
    if overload in ("Scalar", "Tensor_Scalar") or packet == "clamp_min":
        return (given, random.choice(_SCALARS)), {}
    scalars: dict[str, tuple[tuple[Any, ...], ...]] = {
        "clamp": ((None, None), (0, None), (None, 6.0), (-1.5, 2)),
        "hardtanh": ((), (0.0, 6.0)),
        "leaky_relu": ((), (0.1,)),
        "elu": ((), (1.0,)),
        "softplus": ((), (2.0,)),
    }
    return (given, *random.choice(scalars.get(packet.rstrip("_"), ((),)))), {}


def _binary(random: Random, packet: str) -> Call:
    sizes, kind = shape(random), dtype(random)
    one = tensor(random, sizes, kind)
    other = tensor(random, broadcastable(random, sizes), random.choice((kind, kind, kind, None)))
    if not packet.endswith("_"):
        one, other = random.choice(((one, other), (other, one), (one, one)))
    scaled = packet.rstrip("_") in ("add", "sub") and random.choice((False, False, True))
    return (one, other), {"alpha": random.choice(_SCALARS)} if scaled else {}


def _linear(random: Random) -> Call:
    kind, width, out = dtype(random), random.randint(1, 5), random.randint(1, 4)
    given = tensor(random, [*shape(random, 0, 3), near(random, width)], kind)
    weight = tensor(random, random.choice(([out, width], [out, width], [out, width], [width])), kind)
    return (given, weight, either(random, tensor(random, [near(random, out)], kind))), {}


def _mm(random: Random, batch: tuple[int, ...] = ()) -> Call:
    kind, (rows, inner, columns) = dtype(random), [random.randint(0, 4) for _ in range(3)]
    one = tensor(random, [*batch, rows, inner], kind)
    return (one, tensor(random, [*(near(random, size) for size in batch), near(random, inner), columns], kind)), {}


def _addmm(random: Random) -> Call:
    (one, other), _ = _mm(random)
    columns = other.shape[1]
    sizes = random.choice(([columns], [1], [columns + 1], [one.shape[0], columns], [1, columns]))
    return (tensor(random, sizes, random.choice((one.dtype, one.dtype, None))), one, other), {}


def _grouped_mm(random: Random) -> Call:
    """torch takes bfloat16 alone, and rows of 16 bytes: there the rule leaves everything to torch."""
    groups, width, out, kind = 2, 8, 16, random.choice((torch.bfloat16, torch.float32))
    offsets = torch.empty(groups, dtype=torch.int32, device="meta")
    rows = torch.empty(random.randint(1, 9), width, dtype=kind, device="meta")
    return (rows, torch.empty(groups, width, out, dtype=kind, device="meta"), offsets), {}


def _windowed(random: Random, rank: int) -> tuple[list[int], list[int], list[int]]:
    """Stride, padding and dilation; sometimes one for all axes, seldom an illegal one."""
    length = random.choice((1, rank, rank))
    stride = [random.choice((1, 1, 1, 2, 2, 2, 3, 0)) for _ in range(length)]
    padding = [random.choice((0, 0, 0, 1, 1, 2, -1)) for _ in range(length)]
    return stride, padding, [random.choice((1, 1, 2)) for _ in range(length)]


def _convolution(random: Random, rank: int) -> Call:
    kind, groups, inputs = dtype(random), random.choice((1, 1, 1, 2, 3)), random.randint(1, 3)
    outputs = random.choice((groups, 2 * groups, 2 * groups, 5))
    sizes = [random.choice((0, 1, 2, 3)), near(random, inputs * groups)]
    given = tensor(random, [*sizes, *(random.randint(1, 8) for _ in range(rank))], kind)
    given = given if random.randrange(10) else tensor(random, list(given.shape[1:]), kind)  # without a batch
    weight = tensor(random, [outputs, inputs, *(random.randint(1, 4) for _ in range(rank))], kind)
    bias = either(random, tensor(random, [near(random, outputs)], kind))
    return (given, weight, bias, *_windowed(random, rank), groups), {}


def _general_convolution(random: Random) -> Call:
    rank = random.randint(1, 3)
    (given, weight, bias, stride, padding, dilation, groups), _ = _convolution(random, rank)
    transposed = random.choice((False, False, False, True))
    return (given, weight, bias, stride, padding, dilation, transposed, [0] * rank, groups), {}


def _recurrent(random: Random, gates: int) -> Call:
    """A wrong number of hidden states of a two-way layer is left out: torch 2.13 itself crashes on it."""
    kind, two_way, layers = dtype(random), random.choice((False, True)), random.randint(1, 2)
    width, hidden, biases, batch_first = random.randint(1, 4), random.randint(1, 3), *_flags(random)
    steps, batch, directions = random.randint(1, 4), random.randint(1, 3), 2 if two_way else 1
    weights = []
    for layer in range(layers):
        inputs = width if layer == 0 else hidden * directions
        for _ in range(directions):
            sizes = [[gates * hidden, inputs], [gates * hidden, hidden], *([[gates * hidden]] * 2 if biases else [])]
            weights += [tensor(random, size, kind) for size in sizes]
    order = [batch, steps] if batch_first else [steps, batch]
    given = tensor(random, [*order, near(random, width)], kind)
    count = layers * directions if two_way else near(random, layers)
    start = [tensor(random, [count, near(random, batch), hidden], kind) for _ in range(2 if gates == 4 else 1)]
    return (
        given,
        start if gates == 4 else start[0],
        weights,
        biases,
        layers,
        0.0,
        *(random.choice((False, True)), two_way, batch_first),
    ), {}


def _flags(random: Random) -> tuple[bool, bool]:
    return random.choice((False, True)), random.choice((False, True))


def _batch_norm(random: Random) -> Call:
    """At least 2 values per channel: with one, torch's meta kernel divides by zero where its real ones do not."""
    kind, sizes = dtype(random), [2, *shape(random, 1, 4)]
    channels = sizes[1]
    weight, bias, mean, variance = (
        either(random, tensor(random, [near(random, channels)], random.choice((kind, kind, torch.float32))))
        for _ in range(4)
    )
    return (tensor(random, sizes, kind), weight, bias, mean, variance, *_flags(random)[:1], 0.1, 1e-5, True), {}


def _layer_norm(random: Random) -> Call:
    kind, sizes = dtype(random), shape(random, 1, 4)
    last = [near(random, size) for size in sizes[-random.randint(1, len(sizes)) :]]
    weight = either(random, tensor(random, last, kind))
    return (tensor(random, sizes, kind), last, weight, either(random, tensor(random, last, kind)), 1e-5), {}


def _group_norm(random: Random) -> Call:
    kind, sizes = dtype(random), shape(random, 2, 4)
    vector = tensor(random, [near(random, sizes[1])], kind)
    return (tensor(random, sizes, kind), random.choice((1, 2, 3, sizes[1])), vector, either(random, vector), 1e-5), {}


def _softmax(random: Random) -> Call:
    given = tensor(random, shape(random))
    return (given, random.randint(-3, 3), random.choice((None, None, torch.float32, torch.float64))), {}


def _image(random: Random, kind: torch.dtype) -> torch.Tensor:
    sizes = [random.choice((0, 1, 2)), random.randint(1, 3), random.randint(1, 9), random.randint(1, 9)]
    return tensor(random, sizes if random.randrange(8) else sizes[1:], kind)


def _max_pool(random: Random) -> Call:
    stride, padding, dilation = _windowed(random, 2)
    kernel = [random.choice((1, 2, 2, 3, 3, 4, 0)) for _ in range(2)]
    settings = (kernel, random.choice((stride, [])), padding, dilation, random.choice((False, False, True)))
    return (_image(random, dtype(random)), *settings[: random.randint(1, 5)]), {}


def _average_pool(random: Random) -> Call:
    (given, *settings), _ = _max_pool(random)
    return (given, *settings[:3], *settings[4:]), {}


def _adaptive_pool(random: Random) -> Call:
    sizes = [random.choice((0, 1, 1, 2, 3)) for _ in range(random.choice((1, 2, 2, 2)))]
    return (_image(random, dtype(random)), sizes), {}


def _reduction(random: Random) -> Call:
    given = tensor(random, shape(random))
    axes = [random.randint(-given.dim() - 1, given.dim()) for _ in range(random.randint(0, 3))]
    options = random.choice(({}, {}, {"dtype": torch.float64}))
    return (given, random.choice((axes, axes, None)), random.choice((False, True))), options


def _embedding(random: Random) -> Call:
    table = tensor(random, shape(random, 1, 3), dtype(random))
    indices = tensor(random, shape(random, 0, 3), random.choice((torch.int64, torch.int32, torch.float32, torch.int16)))
    return (table, indices, *random.choice(((), (-1,), (0, True)))), {}


def _cat(random: Random) -> Call:
    kind, sizes = dtype(random), shape(random, 1, 4)
    axis, parts = random.randrange(len(sizes)), []
    for _ in range(random.randint(1, 3)):
        part = [random.randint(0, 3) if position == axis else near(random, size) for position, size in enumerate(sizes)]
        part = random.choice((*[part] * 12, [0], []))
        parts.append(tensor(random, part, random.choice((*[kind] * 9, None))))
    return (parts, random.choice((axis, axis - len(sizes)))), {}


def _clone(random: Random) -> Call:
    formats = (None, torch.contiguous_format, torch.preserve_format, torch.channels_last)
    return (tensor(random, shape(random)),), {"memory_format": random.choice(formats)}


_CALLS: dict[str, Callable[[Random], Call]] = {
    "linear": _linear,
    "mm": _mm,
    "bmm": lambda random: _mm(random, (random.randint(0, 3),)),
    "addmm": _addmm,
    "_grouped_mm": _grouped_mm,
    "conv1d": lambda random: _convolution(random, 1),
    "conv2d": lambda random: _convolution(random, 2),
    "conv3d": lambda random: _convolution(random, 3),
    "convolution": _general_convolution,
    "lstm": lambda random: _recurrent(random, 4),
    "gru": lambda random: _recurrent(random, 3),
    "rnn_tanh": lambda random: _recurrent(random, 1),
    "rnn_relu": lambda random: _recurrent(random, 1),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "mean": _reduction,
    "sum": _reduction,
    "embedding": _embedding,
    "cat": _cat,
    "concat": _cat,
    "concatenate": _cat,
    "clone": _clone,
}
