"""Recurrent layers as the CPU trains them.

On meta torch takes an LSTM apart into cells, which no device does: the CPU hands each layer to oneDNN, which keeps a
workspace for the backward pass that can be the largest tensor of the model. GRU and plain layers run cell by cell on
the CPU as well, but multiply the inputs of all steps at once. So for a training run on meta the functions behind the
modules are replaced by ones that call the operators that the CPU would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchstat_cli.torch_access.internals import recurrent_functions
from torchstat_cli.torch_access.patching import replaced

_LSTM = 2  # oneDNN's mode, as torch numbers it

Cell = Callable[[Tensor, Tensor, Tensor, "Tensor | None"], Tensor]
"""From the product of one step's input, the hidden state, and its weight and bias, to the next hidden state."""


@contextmanager
def recurrent_layers_of_the_cpu() -> Iterator[None]:
    """Within the context recurrent modules on meta run the CPU's operators, in the plain case: not packed, no
    projections.
    """
    with ExitStack() as stack:
        for name, ours in _LAYERS.items():
            stack.enter_context(replaced(recurrent_functions, name, partial(_around, ours)))
        yield


def _around(ours: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: ours(*args) if _is_plain(args) else original(*args)


def _is_plain(args: tuple[Any, ...]) -> bool:
    if len(args) != 9 or not isinstance(args[2], (tuple, list)):
        return False  # packed sequences have their states there
    weights, has_biases, layers, bidirectional = args[2], args[3], args[4], args[7]
    expected = layers * (2 if bidirectional else 1) * (4 if has_biases else 2)
    return bool(args[0].is_meta and args[0].dim() == 3 and len(weights) == expected)


def _lstm(
    input: Tensor,
    states: tuple[Tensor, Tensor],
    weights: list[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """All layers, with the arguments and results of torch's function."""
    directions = 2 if bidirectional else 1
    given = (input.transpose(0, 1) if batch_first else input).contiguous()
    hidden, cell = [], []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            place = layer * directions + direction
            own = _own_weights(weights, place, num_layers * directions)
            if not has_biases:  # torch hands over biases of zeros, as large as the weights
                own += [torch.zeros_like(weight) for weight in reversed(own)][::-1]
            output, last_hidden, last_cell, _ = torch.ops.aten.mkldnn_rnn_layer(
                *(given, *own, states[0][place], states[1][place], direction > 0, [], _LSTM, own[1].shape[1]),
                *(num_layers, has_biases, bidirectional, batch_first, train),
            )
            outputs.append(output)
            hidden.append(last_hidden)
            cell.append(last_cell)
        given = outputs[0] if directions == 1 else torch.cat(outputs, -1)
        if dropout and train and layer < num_layers - 1:
            given = F.dropout(given, dropout)
    result = given.transpose(0, 1) if batch_first else given
    return result, torch.stack(hidden), torch.stack(cell)


def _cell_by_cell(
    step: Cell,
    input: Tensor,
    state: Tensor,
    weights: list[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """All layers of a GRU or a plain network, with the arguments and results of torch's function."""
    directions = 2 if bidirectional else 1
    given = input.transpose(0, 1) if batch_first else input
    hidden, last = state.unbind(0), []
    for layer in range(num_layers):
        outputs, products = [], list[Tensor]()
        for direction in range(directions):
            products.clear()
            place = layer * directions + direction
            own = _own_weights(weights, place, num_layers * directions)
            products.append(F.linear(given, own[0], own[2] if has_biases else None))
            states = _all_steps(step, products[0], hidden[place], own, -1 if direction else 1)
            outputs.append(torch.stack(states))
            last.append(states[0 if direction else -1])
        given = outputs[0] if directions == 1 else torch.cat(outputs, -1)
        products.clear()  # torch lets them go no sooner
        if dropout and train and layer < num_layers - 1:
            given = F.dropout(given, dropout)
    return given.transpose(0, 1) if batch_first else given, torch.stack(last)


def _all_steps(step: Cell, products: Tensor, hidden: Tensor, weights: list[Tensor], order: int) -> list[Tensor]:
    """The hidden states after every step of one layer in one direction, in the order of the input."""
    bias = weights[3] if len(weights) > 2 else None
    states = []
    for product in products.unbind(0)[::order]:
        hidden = step(product, hidden, weights[1], bias)
        states.append(hidden)
    return states[::order]


def _own_weights(weights: list[Tensor], place: int, places: int) -> list[Tensor]:
    """Of one layer and direction: for the input and for the state, and their biases."""
    each = len(weights) // places
    return list(weights[place * each : (place + 1) * each])


def _gru_cell(product: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    of_input = product.unsafe_chunk(3, 1)
    of_state = F.linear(hidden, weight, bias).unsafe_chunk(3, 1)
    reset = of_state[0].add_(of_input[0]).sigmoid_()
    update = of_state[1].add_(of_input[1]).sigmoid_()
    new = of_input[2].add(of_state[2].mul_(reset)).tanh_()
    return (hidden - new).mul_(update).add_(new)


def _plain_cell(function: Callable[[Tensor], Tensor]) -> Cell:
    return lambda product, hidden, weight, bias: function(F.linear(hidden, weight, bias).add_(product))


_LAYERS: dict[str, Callable[..., Any]] = {
    "lstm": _lstm,
    "gru": partial(_cell_by_cell, _gru_cell),
    "rnn_tanh": partial(_cell_by_cell, _plain_cell(torch.tanh)),
    "rnn_relu": partial(_cell_by_cell, _plain_cell(torch.relu)),
}
