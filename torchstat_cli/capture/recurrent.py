"""Long short-term memory as the CPU trains it: one oneDNN operator per layer and direction, with its workspace.

On meta torch takes such a layer apart into cells, which no device does: the CPU hands each layer to oneDNN, which
keeps a workspace for the backward pass that can be the largest tensor of the model. So for a training run on meta the
function behind ``nn.LSTM`` is replaced by one that calls the operator that the CPU would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchstat_cli.capture.replacing import replaced

_LSTM = 2  # oneDNN's mode, as torch numbers it


@contextmanager
def lstm_of_the_cpu() -> Iterator[None]:
    """``nn.LSTM`` on meta runs oneDNN's operator within the context, in the plain case (no projection, no packing)."""
    original = torch._VF.lstm

    def lstm(*args: Any) -> Any:
        return _layers(*args) if _is_plain(args) else original(*args)

    with replaced(torch._VF, "lstm", lstm):
        yield


def _is_plain(args: tuple[Any, ...]) -> bool:
    if len(args) != 9 or not isinstance(args[1], (tuple, list)):
        return False  # packed sequences have their batch sizes there
    weights, has_biases, layers, bidirectional = args[2], args[3], args[4], args[7]
    expected = layers * (2 if bidirectional else 1) * (4 if has_biases else 2)
    return bool(args[0].is_meta and args[0].dim() == 3 and len(weights) == expected)


def _layers(
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
    per_layer = len(weights) // (num_layers * directions)
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            place = layer * directions + direction
            own = list(weights[place * per_layer : (place + 1) * per_layer])
            if not has_biases:
                own += [own[0].new_zeros(own[0].shape[0]) for _ in range(2)]
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
