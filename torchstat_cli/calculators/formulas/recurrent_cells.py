"""Single steps of recurrent layers, whole or after their gemms."""

from __future__ import annotations

from torchstat_cli.calculators.counting import DERIVED, additions, argument, first_tensor, tensors_of
from torchstat_cli.calculators.formulas.recurrent import GRU, LSTM, PLAIN, CellKind, Layers, forward_cost
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord


@BUILTIN.formula("aten.lstm_cell", source=DERIVED)
def lstm_cell(op: OpRecord) -> Cost:
    """One step of lstm."""
    return forward_cost(op, _cell_sizes(op, LSTM))


@BUILTIN.formula("aten.gru_cell", source=DERIVED)
def gru_cell(op: OpRecord) -> Cost:
    """One step of gru."""
    return forward_cost(op, _cell_sizes(op, GRU))


@BUILTIN.formula("aten.rnn_tanh_cell", "aten.rnn_relu_cell", source=DERIVED)
def rnn_cell(op: OpRecord) -> Cost:
    """One step of rnn."""
    return forward_cost(op, _cell_sizes(op, PLAIN))


@BUILTIN.formula("aten._thnn_fused_lstm_cell", source=DERIVED)
def fused_lstm_cell(op: OpRecord) -> Cost:
    """13 per hidden element, 4 more for each bias."""
    return Cost(flops=op.tensor("cx").numel * (LSTM.forward + 4 * _biases(op)))


@BUILTIN.formula("aten._thnn_fused_gru_cell", source=DERIVED)
def fused_gru_cell(op: OpRecord) -> Cost:
    """10 per hidden element, 3 more for each bias."""
    return Cost(flops=op.tensor("hx").numel * (GRU.forward + 3 * _biases(op)))


@BUILTIN.formula(
    "aten._thnn_fused_lstm_cell_backward",
    "aten._thnn_fused_lstm_cell_backward_impl",
    "aten._thnn_differentiable_lstm_cell_backward",
    source=DERIVED,
)
def fused_lstm_cell_backward(op: OpRecord) -> Cost:
    """23 per hidden element; the bias gradient sums the gates over the batch."""
    return _backward(op, LSTM, op.tensor("cx").shape)


@BUILTIN.formula("aten._thnn_fused_gru_cell_backward", "aten._thnn_differentiable_gru_cell_backward", source=DERIVED)
def fused_gru_cell_backward(op: OpRecord) -> Cost:
    """15 per hidden element; the bias gradients sum the gates over the batch."""
    return _backward(op, GRU, op.tensor("grad_hy").shape)


def _backward(op: OpRecord, kind: CellKind, shape: tuple[int, ...]) -> Cost:
    batch, hidden = shape
    # An LSTM's two biases share one gradient; a GRU's differ in the gate that r multiplies.
    sums = 1 if kind is LSTM else 2
    has_bias = argument(op, "has_bias", op.has_tensor("input_bias")) and op.name.endswith("backward")
    bias = sums * additions(kind.gates * hidden * batch, kind.gates * hidden) if has_bias else 0
    return Cost(flops=kind.backward * batch * hidden + bias)


def _biases(op: OpRecord) -> int:
    return op.has_tensor("input_bias") + op.has_tensor("hidden_bias")


def _cell_sizes(op: OpRecord, kind: CellKind) -> Layers:
    given, states = first_tensor(op, "input"), tensors_of(op, "hx")
    hidden = states[-1].shape[-1]
    return Layers(
        kind=kind,
        positions=given.numel // given.shape[-1] if given.numel else 0,
        inputs=given.shape[-1],
        hidden=hidden,
        output=hidden,
        biases=op.has_tensor("b_ih") + op.has_tensor("b_hh"),
    )
