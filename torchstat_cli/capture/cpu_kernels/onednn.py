"""The layouts that oneDNN's convolutions work in, and so what it copies.

torch gives oneDNN plain tensors, batch by channels by places. Its kernels want the channels in blocks as wide as a
vector register, 16 numbers with AVX-512, or channels last; so a call first copies what it is given, and torch copies
the result back. All of it comes from torch's own allocator.

Which kernel takes which layout was found by asking oneDNN 3.12, as torch 2.13 has it, for its choices over some 1400
shapes on a CPU with AVX-512. Of what each thread has for itself, the large buffers of two threads are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

_LANES = 16  # float32 numbers in a vector register of AVX-512
_HALF_LANES = 8
_GROUP_LANES = (16, 8, 4)  # blocks that a group's channels may fill, the widest first
_MATRIX_BLOCKS = (64, 48, 32)  # of weights in matrix kernels
_THREADS = 2
_FEW_PLACES = 512  # for each thread, below which threads work on images of their own
_COLUMNS = 5 << 16  # numbers that the columns of one thread take at most, as its cache allows
_WIDEST_KERNEL = 14  # whose weight gradient the vector kernels can do
_WIDEST_DEPTHWISE = 3  # the same where each channel is a group of its own
_REGISTERS = 28  # places of a row that the vector kernels take at once, at most; they hold no wider edge
_ROWS = range(14, 70)  # that get all registers in the gradient of the input
_EDGE = 6  # of depthwise kernels, and of images with one row
_FEW_CHANNELS = 3  # that the weight gradient reads without copying
_PARTIAL_SUMS = 4  # copies of the weight gradient that the kernel by columns adds up


@dataclass(frozen=True, slots=True)
class Convolution:
    """A plain convolution from its inner side to its outer side; a transposed one runs it the other way."""

    batch: int
    groups: int
    inner: int  # channels that a plain convolution reads
    outer: int  # channels that it writes
    inner_area: int  # places of one image on the inner side
    outer_area: int  # and on the outer
    outer_plane: int  # those with the same depth, where there are three axes
    outer_reach: int  # those of one image and as many around it as the kernel reaches over
    taps: int  # places of the kernel
    width: int  # places of its last axis
    reach: int  # from the first of these to the last, on the image
    edge: int  # padding on either side of a row
    inner_row: int  # places of the last axis on the inner side
    outer_row: int  # and on the outer
    one_row: bool  # the image has a single row
    axes: int  # of an image: 2 or 3
    strided: bool
    dilated: bool
    padded: bool
    transposed: bool
    channels_last: bool

    @property
    def inner_numel(self) -> int:
        """Elements on the inner side."""
        return self.batch * self.inner * self.inner_area

    @property
    def outer_numel(self) -> int:
        """Elements on the outer side."""
        return self.batch * self.outer * self.outer_area

    @property
    def weight_numel(self) -> int:
        """Elements of the weight."""
        return self.inner * self.outer * self.taps // self.groups

    @property
    def columns(self) -> int:
        """Elements of one image's columns, one group of channels: what the kernel sees from every place."""
        return self.inner // self.groups * self.taps * self.outer_area

    @property
    def fits_forward(self) -> bool:
        """Whether the padding of a row fits the registers that the vector kernel gives it."""
        if self.is_depthwise or (self.one_row and self.outer_row > _REGISTERS):
            return self.edge <= _EDGE
        blocks = max(1, self.outer // self.groups // _LANES)
        together = max(count for count in (1, 2, 3, 4) if blocks % count == 0)
        return self.edge <= (self.outer_row if self.outer_row <= _REGISTERS else 31 // (together + 1))

    @property
    def fits_backward(self) -> bool:
        """The same for the gradient of the input."""
        alone = (
            self.inner // self.groups < 4 * _LANES or self.inner_row in _ROWS
        )  # else four blocks share the registers
        return self.reach - self.edge <= (min(_REGISTERS, self.inner_row) if alone else _REGISTERS // 4)

    @property
    def fits_weights(self) -> bool:
        """The same for the gradient of the weight."""
        inside = not self.dilated or 2 * self.edge < self.outer_row
        return inside and self.width <= _WIDEST_KERNEL and self.edge <= _REGISTERS

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is a group of its own."""
        return self.groups > 1 and self.groups == self.inner == self.outer

    @property
    def fills(self) -> bool:
        """Whether the kernel covers the whole image, so that the call is one product of matrices."""
        return self.outer_area == 1 and self.groups == 1 and not self.padded and not self.transposed


@dataclass(frozen=True, slots=True)
class Copies:
    """Elements that one kernel holds in layouts of its own."""

    inner: int = 0
    weights: int = 0
    outer: int = 0
    work: int = 0  # of its own
    turned: bool = False  # the result has its channels last where torch wants them second


def forward(conv: Convolution) -> Copies:
    """From the inner side to the outer."""
    if conv.channels_last:
        return Copies(weights=_matrix_weights(conv, conv.outer, conv.inner))
    if conv.fills:
        single = conv.taps == 1  # nothing to turn
        return Copies(0 if single else conv.inner_numel, 0 if single else conv.weight_numel, conv.outer_numel)
    if conv.is_depthwise and conv.axes == 3:
        return Copies(conv.inner_numel, _round(conv.inner, _LANES) * conv.taps, conv.outer_numel, turned=True)
    if not conv.fits_forward or (conv.groups > 1 and not conv.is_depthwise and not _group_lanes(conv)):
        columns = min(_by_thread(conv, _FEW_PLACES) * _columns(conv), _THREADS * _COLUMNS)
        return Copies(outer=conv.outer_numel, work=columns)
    if conv.is_depthwise:
        return _blocked_depthwise(conv)
    if conv.groups > 1:
        return Copies(conv.inner_numel, conv.weight_numel, conv.outer_numel)
    if conv.inner < _LANES and conv.taps > 1:  # few channels are read as they are
        outer = _round(conv.outer, _LANES)
        return Copies(0, outer * conv.inner * conv.taps, conv.batch * outer * conv.outer_area)
    unit_stride = _round(conv.inner, _LANES) * conv.outer_area if conv.taps == 1 and conv.strided else 0
    return _blocked(conv, _LANES, work=_THREADS * unit_stride)


def input_gradient(conv: Convolution) -> Copies:
    """From the outer side to the inner: the gradient of the input, or a transposed convolution."""
    image = _THREADS * conv.outer * conv.outer_reach if conv.strided else 0  # laid out so that the stride becomes 1
    if conv.channels_last:
        return Copies(weights=_matrix_weights(conv, conv.inner, conv.outer), work=image)
    if conv.fills:
        single = conv.taps == 1
        return Copies(conv.inner_numel, 0 if single else conv.weight_numel, turned=not single)
    by_columns = Copies(inner=conv.inner_numel, work=min(_THREADS, conv.batch * conv.groups) * _columns(conv))
    if conv.is_depthwise:
        if conv.axes == 2 and not conv.dilated:
            return _blocked_depthwise(conv)
        return by_columns
    if conv.groups > 1:
        lanes, share = _group_lanes(conv), conv.outer // conv.groups
        if conv.strided and (not lanes or share > (_HALF_LANES if conv.transposed else _LANES)):
            return Copies(conv.inner_numel, conv.weight_numel, conv.outer_numel, work=image, turned=True)
        if lanes and conv.fits_backward:
            return Copies(conv.inner_numel, conv.weight_numel, conv.outer_numel)
        return by_columns
    if conv.strided:
        weights = _matrix_weights(conv, conv.inner, conv.outer)
        return Copies(conv.inner_numel, weights, conv.outer_numel, work=image, turned=True)
    return _blocked(conv, _LANES) if conv.fits_backward else by_columns


def weight_gradient(conv: Convolution) -> Copies:
    """From both sides to the weight."""
    vectors = conv.axes == 2 and not conv.dilated and conv.width <= _WIDEST_DEPTHWISE
    if conv.channels_last:
        return Copies(weights=_gradient_weights(conv, vectors), turned=True)
    if conv.fills:
        single = conv.taps == 1
        return Copies(0 if single else conv.inner_numel, conv.weight_numel, turned=not single)
    apart = _by_thread(conv, _FEW_PLACES // 2)
    work = apart * (_columns(conv) + _PARTIAL_SUMS * conv.weight_numel)
    by_columns = Copies(weights=conv.weight_numel, work=work)
    if conv.is_depthwise:
        return _blocked_depthwise(conv) if vectors else by_columns
    if not conv.fits_weights:
        return by_columns
    if conv.groups > 1:
        if _group_lanes(conv) < _HALF_LANES:
            return by_columns
        return Copies(conv.inner_numel, conv.weight_numel, conv.outer_numel)
    if conv.inner >= _LANES or conv.taps == 1:
        return _blocked(conv, _LANES)
    if conv.inner <= _FEW_CHANNELS:
        outer = _round(conv.outer, _LANES)
        return Copies(0, outer * conv.inner * conv.taps, conv.batch * outer * conv.outer_area)
    if conv.dilated or (conv.axes == 3 and conv.padded):
        return by_columns
    return _blocked(conv, _HALF_LANES)


# --- layouts ---------------------------------------------------------------------------------------------------------


def _round(channels: int, lanes: int) -> int:
    """Channels in whole blocks."""
    return -(-channels // lanes) * lanes


def _blocked(conv: Convolution, lanes: int, work: int = 0) -> Copies:
    inner, outer = _round(conv.inner, lanes), _round(conv.outer, lanes)
    return Copies(
        conv.batch * inner * conv.inner_area, inner * outer * conv.taps, conv.batch * outer * conv.outer_area, work
    )


def _blocked_depthwise(conv: Convolution) -> Copies:
    channels = _round(conv.inner, _LANES)
    images = conv.batch * channels
    return Copies(images * conv.inner_area, channels * conv.taps, images * conv.outer_area)


def _matrix_weights(conv: Convolution, made: int, given: int) -> int:
    """Weights with the channels of the result in one block, or in those of 2 to 4 vectors that pad least."""
    if conv.is_depthwise:
        return _round(conv.inner, _LANES) * conv.taps
    if conv.groups > 1:
        return conv.weight_numel if _group_lanes(conv) else _padded_groups(conv)
    one_block = made <= max(_MATRIX_BLOCKS)
    padded = _round(made, _LANES) if one_block else min(_round(made, lanes) for lanes in _MATRIX_BLOCKS)
    return padded * given * conv.taps


def _gradient_weights(conv: Convolution, vectors: bool) -> int:
    """The weight's gradient, where both sides have their channels last."""
    if conv.is_depthwise and vectors:
        return _round(conv.inner, _LANES) * conv.taps
    if conv.groups > 1:
        return _padded_groups(conv)
    inner = conv.inner if conv.inner < _LANES else _round(conv.inner, _LANES)
    return _round(conv.outer, _LANES) * inner * conv.taps


def _padded_groups(conv: Convolution) -> int:
    """Weights with every group's channels padded, on both sides."""
    inner, outer = _round(conv.inner // conv.groups, _LANES), _round(conv.outer // conv.groups, _LANES)
    return conv.groups * inner * outer * conv.taps


def _group_lanes(conv: Convolution) -> int:
    """The widest block that a group's channels fill on both sides; 0 if none."""
    inner, outer = conv.inner // conv.groups, conv.outer // conv.groups
    return next((lanes for lanes in _GROUP_LANES if inner % lanes == outer % lanes == 0), 0)


def _columns(conv: Convolution) -> int:
    """Of one plane at a time; none where they are the image itself."""
    if conv.taps == 1 and not conv.strided and not conv.padded:
        return 0
    return conv.columns * conv.outer_plane // conv.outer_area


def _by_thread(conv: Convolution, few: int) -> int:
    """Threads that each have buffers of their own in the kernel by columns."""
    return _THREADS if conv.outer_plane < _THREADS * few and (conv.batch > 1 or conv.groups > 2) else 1
