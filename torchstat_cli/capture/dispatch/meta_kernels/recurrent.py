"""LSTM, GRU and plain recurrent layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.cpu_kernels.onednn_recurrent import workspace
from torchstat_cli.capture.dispatch.meta_kernels.rules import new, plain, rule


@rule("lstm.input")
def _lstm(
    input: Tensor,
    hx: Any,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    hidden, cell = hx
    output = _recurrent_output(input, hidden, params, has_biases, num_layers, bidirectional, batch_first)
    if cell.shape != hidden.shape or not plain(hidden, cell):
        return NotImplemented
    return output, new(hidden.shape, hidden), new(cell.shape, cell)


@rule("mkldnn_rnn_layer", corrects=True)
def _onednn_layer(
    input: Tensor,
    weight: Tensor,
    recurrent_weight: Tensor,
    bias: Tensor,
    recurrent_bias: Tensor,
    hidden: Tensor,
    cell: Tensor,
    reverse: bool,
    batch_sizes: Any,
    mode: int,
    hidden_size: int,
    *rest: Any,
) -> Any:
    """As torch's own meta kernel, but with the workspace, which that leaves empty."""
    if mode != 2 or input.dim() != 3 or hidden.dim() != 2 or cell.dim() != 2:
        return NotImplemented
    steps, batch = input.shape[0], input.shape[1]
    return (
        new((steps, batch, hidden_size), input),
        new(tuple(hidden.shape), hidden),
        new(tuple(cell.shape), cell),
        new((workspace(steps, batch, input.shape[2], hidden_size),), input, torch.uint8),
    )


@rule("gru.input", "rnn_tanh.input", "rnn_relu.input")
def _gru(
    input: Tensor,
    hx: Tensor,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    output = _recurrent_output(input, hx, params, has_biases, num_layers, bidirectional, batch_first)
    return output, new(hx.shape, hx)


def _recurrent_output(
    input: Tensor,
    hidden: Tensor,
    params: Any,
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> Tensor:
    directions = num_layers * (2 if bidirectional else 1)
    if len(params) != directions * (4 if has_biases else 2) or hidden.shape[0] != directions:
        raise ValueError("projections, or too many or few weights")
    if not plain(hidden, *params) or input.dim() != 3 or input.shape[2] != params[0].shape[1]:
        raise ValueError("not the plain case")
    steps, batch = (input.shape[1], input.shape[0]) if batch_first else (input.shape[0], input.shape[1])
    if hidden.dim() != 3 or hidden.shape[1] != batch:
        raise ValueError("not the plain case")
    output = new((steps, batch, hidden.shape[2] * (2 if bidirectional else 1)), input)
    return output.transpose(0, 1) if batch_first else output
