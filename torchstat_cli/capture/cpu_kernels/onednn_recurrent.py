"""What recurrent layers hold on the CPU: LSTM layers, which oneDNN runs whole, and those that torch runs step by step.

The sizes of oneDNN's buffers were found by asking it, in releases 3.7, 3.10 and 3.12, for layers of many sizes: rows
are padded to whole cache lines, buffers to whole pages. A few hundred bytes and what little each thread
keeps are left out.
"""

from __future__ import annotations

from torchstat_cli.capture.cpu_kernels.release import onednn_release
from torchstat_cli.records import OpRecord, TensorRecord

_PAGE = 4096
_LINE = 16  # float32 numbers in a cache line
_GATES = {"aten.lstm": 4, "aten.gru": 3, "aten.rnn_tanh": 1, "aten.rnn_relu": 1}
_LARGE_BATCH = 128  # from which oneDNN multiplies the input of each step alone
_BLOCK = 2 * _LINE  # of the weights, without gradients
_LEAN = (3, 10)  # from this release on: two states per step less, and gates and states once instead of five times


def recurrent_bytes(record: OpRecord) -> int | None:
    """Most bytes that a recurrent layer holds inside, beyond its results; None for another operator."""
    if record.name == "aten.mkldnn_rnn_layer":
        return _training_forward(record)
    if record.name == "aten.mkldnn_rnn_layer_backward":
        return _training_backward(record)
    if record.name not in _GATES or record.overload != "input" or record.tensor("input").dtype != "float32":
        return None
    if record.name != "aten.lstm":
        return _step_by_step(record)
    return _inference(record) if len(record.tensors("hx")) == 2 else None


def padded(width: int) -> int:
    """A row's width in whole cache lines of 16 numbers, and one more where rows would meet in the same cache set."""
    lines = -(-width // _LINE) * _LINE
    return lines + _LINE if lines % 256 == 0 else lines


def workspace(steps: int, batch: int, input_size: int, hidden_size: int) -> int:
    """Bytes that oneDNN keeps of an LSTM layer for its backward pass: gates, states before and after every step."""
    wide = padded(max(input_size, hidden_size))
    return (
        _numbers(steps * batch * padded(4 * hidden_size))
        + _numbers(steps * batch * padded(hidden_size))
        + (3 + _states_more()) * _states(steps, batch, wide)
        + 2 * _states(steps, batch, hidden_size)
    )


def _training_forward(record: OpRecord) -> int:
    """The weights in oneDNN's layout, the sum of the biases, and the gates, of all steps where the batch is small."""
    input, hidden = record.tensor("input"), int(record.arguments["hidden_size"])
    steps, batch, width = input.shape
    together = steps if batch < _LARGE_BATCH else 1
    return 4 * _weights(width, hidden) + 16 * hidden + _gates(together, batch, hidden)


def _training_backward(record: OpRecord) -> int:
    """Weights, where their rows are not whole cache lines, and their gradients in layouts of oneDNN's own; gates;
    and the gradients of the results, those that are missing as zeros.
    """
    input, hidden = record.tensor("input"), int(record.arguments["hidden_size"])
    steps, batch, width = input.shape
    unaligned = sum(4 * hidden * padded(size) for size in (width, hidden) if padded(size) != size)
    numbers = unaligned + _weights(width, hidden) + 8 * hidden
    for name, length in (("grad_output", steps), ("grad_hy", 1), ("grad_cy", 1)):
        given = record.tensor(name) if record.has_tensor(name) else None
        if given is None or not _lies_in_order(given, range(len(given.shape))):
            numbers += length * batch * hidden
    return 4 * numbers + _gates(steps, batch, hidden)


def _inference(record: OpRecord) -> int:
    """An LSTM of one or more layers, in the layer that holds most."""
    input, hidden, layers, directions = _parts(record)
    steps, batch, width = input.shape[0], input.shape[1], input.shape[2]
    kept = 0
    if record.arguments["batch_first"]:
        steps, batch = batch, steps
    if not _lies_in_order(input, (1, 0, 2) if record.arguments["batch_first"] else (0, 1, 2)):
        kept = 4 * input.numel
    half = 4 * steps * batch * hidden
    most = _one_layer(record, steps, batch, width, hidden)
    if layers > 1:
        # Its input is the results of the layer before, one of which is still there apart with two directions.
        before = half if directions == 1 else 3 * half
        most = max(most, before + _one_layer(record, steps, batch, hidden * directions, hidden))
    return kept + most


def _one_layer(record: OpRecord, steps: int, batch: int, width: int, hidden: int) -> int:
    rows = width + hidden
    together = steps if batch == 1 else 1  # one sequence: the input of all steps is multiplied at once
    zeros = 0 if record.arguments["has_biases"] else 4 * hidden * rows  # biases as large as the weights, torch's slip
    weights = rows * 4 * -(-hidden // _BLOCK) * _BLOCK
    return (
        4 * (weights + zeros + 4 * hidden)
        + (1 + _states_more()) * _states(steps, batch, padded(max(width, hidden)))
        + _states(steps, batch, hidden)
        + _gates(together, batch, hidden, states=1)
    )


def _step_by_step(record: OpRecord) -> int:
    """Layers that torch runs itself: the products of all inputs, the results of all steps, and these put together.

    The last states of the last layer are not there yet.
    """
    input, hidden, layers, directions = _parts(record)
    cells = input.shape[0] * input.shape[1]
    numbers = cells * hidden * (_GATES[record.name] + (1 if directions == 1 else 4))
    if layers > 1:
        numbers += cells * hidden * directions
    last = record.outputs[1]
    return max(0, 4 * numbers - last.numel * last.itemsize // layers)


def _parts(record: OpRecord) -> tuple[TensorRecord, int, int, int]:
    """Input, hidden size, layers and directions."""
    states = record.tensor("hx") if record.has_tensor("hx") else record.tensors("hx")[0]
    directions = 2 if record.arguments["bidirectional"] else 1
    return record.tensor("input"), states.shape[-1], int(record.arguments["num_layers"]), directions


def _weights(width: int, hidden: int) -> int:
    return (width + hidden) * padded(4 * hidden)


def _gates(steps: int, batch: int, hidden: int, *, states: int = 2) -> int:
    """Bytes of the gates of all steps and of so many states."""
    gates, state = steps * batch * padded(4 * hidden), batch * padded(hidden)
    again = 0 if onednn_release() >= _LEAN else 4 * 4 * (gates + states * state)
    return _numbers(gates) + states * _numbers(state) + again + _PAGE


def _states_more() -> int:
    """States of every step, as wide as the wider side, that older releases keep beside the others."""
    return 0 if onednn_release() >= _LEAN else 2


def _states(steps: int, batch: int, width: int) -> int:
    """Bytes of a state before and after every step, on both sides of the layer."""
    return _numbers(2 * (steps + 1) * batch * width)


def _numbers(count: int) -> int:
    """Bytes of so many float32 numbers, in whole pages."""
    return -(-4 * count // _PAGE) * _PAGE


def _lies_in_order(tensor: TensorRecord, axes: range | tuple[int, ...]) -> bool:
    """Whether the tensor is contiguous with its axes in that order."""
    expected = 1
    for axis in reversed(axes):
        if tensor.shape[axis] != 1 and tensor.stride[axis] != expected:
            return False
        expected *= tensor.shape[axis]
    return True
