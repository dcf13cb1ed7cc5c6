"""LSTM, GRU and plain recurrent layers and cells, and their gradients."""

from __future__ import annotations

from dataclasses import dataclass

from torchstat_cli.calculators.counting import DERIVED, argument, first_tensor, tensors_of
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

# One step of one layer and direction: gates x hidden x (inputs + recurrent width) MAdds, and projection x hidden
# where there is one. Both biases add gates x hidden each. Per hidden element, beyond the gemms:
#   plain  2: join input and hidden part, activation
#   LSTM  13: join 4, activations 4, f*c + i*g 3, tanh(c) and times o 2
#   GRU   10: join 2 (r, z), sigmoids 2, r * hidden part 1, join 1, tanh 1, (h - n) * z + n 3
# Backward, per hidden element:
#   plain  3: g * (1 - h^2)
#   LSTM  23: tanh(c) 1, do 1, dc 5, di dg df dc' 4, derivatives of three sigmoids 9 and a tanh 3
#   GRU   15: dz 5, dn 4, dr 4, gradient of the hidden part 1, of h 1


@dataclass(frozen=True, slots=True)
class CellKind:
    """A kind of recurrent cell."""

    gates: int
    forward: int  # operations per hidden element beyond gemms and biases
    backward: int


PLAIN, LSTM, GRU = CellKind(1, 2, 3), CellKind(4, 13, 23), CellKind(3, 10, 15)
KIND_BY_MODE = (PLAIN, PLAIN, LSTM, GRU)
"""As cuDNN, MIOpen and oneDNN number them: relu, tanh, LSTM, GRU."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The sizes that the cost of a whole recurrent call depends on."""

    kind: CellKind
    positions: int  # steps x batch, or the packed rows
    inputs: int
    hidden: int
    output: int  # width of one direction's output: projection, else hidden
    layers: int = 1
    directions: int = 1
    biases: int = 2  # bias vectors per layer and direction

    @property
    def madds(self) -> int:
        """Multiply-adds of all gemms, forward."""
        widths = [self.inputs] + [self.output * self.directions] * (self.layers - 1)
        per_gate = sum(width + self.output for width in widths) * self.kind.gates * self.hidden
        projection = self.layers * self.output * self.hidden if self.output != self.hidden else 0
        return self.positions * self.directions * (per_gate + projection)

    @property
    def hidden_elements(self) -> int:
        """Hidden elements of all steps, layers and directions."""
        return self.positions * self.directions * self.layers * self.hidden

    @property
    def elementwise(self) -> int:
        """FLOPs beyond the gemms, forward."""
        return self.hidden_elements * (self.kind.forward + self.biases * self.kind.gates)


def forward_cost(op: OpRecord, sizes: Layers) -> Cost:
    """Gemms, elementwise work, and dropout (mask, scale) between layers in training."""
    drops = argument(op, "train", False) and argument(op, "dropout", 0.0) > 0
    between = sizes.positions * sizes.directions * sizes.output * (sizes.layers - 1)
    madds = sizes.madds
    return Cost(madds, 2 * madds + sizes.elementwise + (2 * between if drops else 0))


def backward_cost(sizes: Layers) -> Cost:
    """Every gemm once for the inputs' and once for the weights' gradient; bias gradients sum the positions."""
    # Besides the cell's own gradient, each hidden element joins the gradient of its output with that of the next step.
    summed = sizes.biases * sizes.kind.gates * sizes.hidden * sizes.layers * sizes.directions
    bias = summed * max(sizes.positions - 1, 0)
    madds = 2 * sizes.madds
    return Cost(madds, 2 * madds + sizes.hidden_elements * (sizes.kind.backward + 1) + bias)


@BUILTIN.formula("aten.lstm", "aten._lstm_mps", source=DERIVED)
def lstm(op: OpRecord) -> Cost:
    """MAdds = steps x batch x weights of all layers; 13 per hidden element and 8 for the biases."""
    return forward_cost(op, framework_sizes(op, LSTM))


@BUILTIN.formula("aten.gru", source=DERIVED)
def gru(op: OpRecord) -> Cost:
    """MAdds = steps x batch x weights of all layers; 10 per hidden element and 6 for the biases."""
    return forward_cost(op, framework_sizes(op, GRU))


@BUILTIN.formula("aten.rnn_tanh", "aten.rnn_relu", source=DERIVED)
def rnn(op: OpRecord) -> Cost:
    """MAdds = steps x batch x weights of all layers; 2 per hidden element and 2 for the biases."""
    return forward_cost(op, framework_sizes(op, PLAIN))


@BUILTIN.formula("aten.lstm_mps_backward", source=DERIVED)
def lstm_backward(op: OpRecord) -> Cost:
    """Twice the MAdds of the forward; 24 per hidden element and the sums of the bias gradients."""
    return backward_cost(framework_sizes(op, LSTM))


@BUILTIN.formula("aten._cudnn_rnn", "aten.miopen_rnn", source=DERIVED)
def fused_layers(op: OpRecord) -> Cost:
    """As lstm, gru or rnn, by mode."""
    return forward_cost(op, _fused_sizes(op))


@BUILTIN.formula("aten._cudnn_rnn_backward", "aten.miopen_rnn_backward", source=DERIVED)
def fused_layers_backward(op: OpRecord) -> Cost:
    """Twice the MAdds of the forward; elementwise work by mode and the sums of the bias gradients."""
    return backward_cost(_fused_sizes(op))


@BUILTIN.formula("aten.mkldnn_rnn_layer", source=DERIVED)
def onednn_layer(op: OpRecord) -> Cost:
    """One layer and direction of lstm, gru or rnn, by mode."""
    return forward_cost(op, _onednn_sizes(op))


@BUILTIN.formula("aten.mkldnn_rnn_layer_backward", source=DERIVED)
def onednn_layer_backward(op: OpRecord) -> Cost:
    """Twice the MAdds of the forward; elementwise work by mode and the sums of the bias gradients."""
    return backward_cost(_onednn_sizes(op))


def framework_sizes(op: OpRecord, kind: CellKind) -> Layers:
    """Sizes of torch.lstm and its like: the states tell the widths, so packed weights need not be opened."""
    states = tensors_of(op, "hx")
    data = first_tensor(op, "input", "data")
    return Layers(
        kind=kind,
        positions=data.numel // data.shape[-1] if data.numel else 0,
        inputs=data.shape[-1],
        hidden=states[-1].shape[-1],
        output=states[0].shape[-1],
        layers=argument(op, "num_layers", 1),
        directions=2 if argument(op, "bidirectional", False) else 1,
        biases=2 if argument(op, "has_biases", True) else 0,
    )


def _fused_sizes(op: OpRecord) -> Layers:
    given, hidden = op.tensor("input"), op.arguments["hidden_size"]
    return Layers(
        kind=KIND_BY_MODE[op.arguments["mode"]],
        positions=given.numel // given.shape[-1] if given.numel else 0,
        inputs=given.shape[-1],
        hidden=hidden,
        output=argument(op, "proj_size", 0) or hidden,
        layers=op.arguments["num_layers"],
        directions=2 if op.arguments["bidirectional"] else 1,
        # tensors per layer: two weights, a projection, and two biases if there are any
        biases=2 if op.arguments["weight_stride0"] >= 4 else 0,
    )


def _onednn_sizes(op: OpRecord) -> Layers:
    given, hidden = op.tensor("input"), op.arguments["hidden_size"]
    return Layers(
        kind=KIND_BY_MODE[op.arguments["mode"]],
        positions=given.numel // given.shape[-1] if given.numel else 0,
        inputs=given.shape[-1],
        hidden=hidden,
        output=hidden,
        biases=2 if op.arguments["has_biases"] else 0,
    )
