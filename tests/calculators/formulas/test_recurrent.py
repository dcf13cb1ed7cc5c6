"""Recurrent layers and cells, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import cost, flops, tensor
from torchstat_cli.records import Cost

STEPS, BATCH, INPUTS, HIDDEN = 3, 2, 5, 7
POSITIONS = STEPS * BATCH
X = tensor(STEPS, BATCH, INPUTS)
ONE_LAYER = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": False, "bidirectional": False}


@pytest.mark.parametrize(
    ("name", "gates", "per_hidden"),
    [("aten.lstm", 4, 13), ("aten.gru", 3, 10), ("aten.rnn_tanh", 1, 2), ("aten.rnn_relu", 1, 2)],
)
@pytest.mark.parametrize("biases", [True, False])
def test_one_layer(name: str, gates: int, per_hidden: int, biases: bool) -> None:
    states = (tensor(1, BATCH, HIDDEN),) * 2 if name == "aten.lstm" else tensor(1, BATCH, HIDDEN)
    madds = POSITIONS * gates * HIDDEN * (INPUTS + HIDDEN)
    beyond = POSITIONS * HIDDEN * (per_hidden + (2 * gates if biases else 0))
    found = cost(name, tensor(STEPS, BATCH, HIDDEN), input=X, hx=states, **{**ONE_LAYER, "has_biases": biases})
    assert found == Cost(madds, 2 * madds + beyond)


def test_layers_directions_and_dropout() -> None:
    states = (tensor(4, BATCH, HIDDEN), tensor(4, BATCH, HIDDEN))
    options = {"has_biases": False, "num_layers": 2, "bidirectional": True, "dropout": 0.5, "train": True}
    # both directions of the first layer see 5 inputs, those of the second 14
    madds = POSITIONS * 2 * 28 * ((5 + 7) + (14 + 7))
    beyond = POSITIONS * 4 * 7 * 13 + 2 * POSITIONS * 14
    assert cost("aten.lstm", tensor(STEPS, BATCH, 14), input=X, hx=states, **options) == Cost(madds, 2 * madds + beyond)


def test_a_projection() -> None:
    states = (tensor(1, BATCH, 3), tensor(1, BATCH, HIDDEN))
    madds = POSITIONS * (28 * (5 + 3) + 3 * 7)
    found = cost("aten.lstm", tensor(STEPS, BATCH, 3), input=X, hx=states, **ONE_LAYER)
    assert found == Cost(madds, 2 * madds + POSITIONS * 7 * 21)


def test_packed_sequences_count_their_rows() -> None:
    states = (tensor(1, 2, HIDDEN), tensor(1, 2, HIDDEN))
    found = cost("aten.lstm", tensor(6, HIDDEN), data=tensor(6, INPUTS), hx=states, **ONE_LAYER)
    assert found is not None
    assert found.madds == 6 * 28 * 12


@pytest.mark.parametrize(("mode", "gates", "per_hidden"), [(0, 1, 2), (2, 4, 13), (3, 3, 10)])
def test_fused_kernels_by_mode(mode: int, gates: int, per_hidden: int) -> None:
    madds = POSITIONS * gates * 7 * 12
    expected = Cost(madds, 2 * madds + POSITIONS * 7 * (per_hidden + 2 * gates))
    sizes: dict[str, Any] = {"mode": mode, "hidden_size": 7, "num_layers": 1, "bidirectional": False, "dropout": 0.0}
    cudnn = {**sizes, "input": X, "weight_stride0": 4, "proj_size": 0}
    assert cost("aten._cudnn_rnn", tensor(STEPS, BATCH, 7), **cudnn) == expected
    onednn = {**sizes, "input": X, "has_biases": True}
    assert cost("aten.mkldnn_rnn_layer", tensor(STEPS, BATCH, 7), **onednn) == expected


def test_backward_runs_every_gemm_twice() -> None:
    forward = POSITIONS * 28 * 12
    given = {"input": X, "mode": 2, "hidden_size": 7, "num_layers": 1, "has_biases": True, "bidirectional": False}
    beyond = POSITIONS * 7 * 24 + 2 * 28 * (POSITIONS - 1)
    found = cost("aten.mkldnn_rnn_layer_backward", tensor(STEPS, BATCH, 5), **given)
    assert found == Cost(2 * forward, 4 * forward + beyond)


def test_cells() -> None:
    biases = {"b_ih": tensor(28), "b_hh": tensor(28)}
    states = (tensor(3, 7), tensor(3, 7))
    madds = 3 * 28 * 12
    found = cost("aten.lstm_cell", tensor(3, 7), input=tensor(3, 5), hx=states, **biases)
    assert found == Cost(madds, 2 * madds + 3 * 7 * 21)
    gates = {"input_gates": tensor(3, 28), "hidden_gates": tensor(3, 28), "cx": tensor(3, 7)}
    fused = flops("aten._thnn_fused_lstm_cell", tensor(3, 7), **gates, input_bias=tensor(28), hidden_bias=tensor(28))
    assert fused == 3 * 7 * 21
    assert flops("aten._thnn_fused_gru_cell", tensor(3, 7), input_gates=tensor(3, 21), hx=tensor(3, 7)) == 210
    backward = {"cx": tensor(3, 7), "has_bias": True}
    assert flops("aten._thnn_fused_lstm_cell_backward", tensor(3, 28), **backward) == 23 * 21 + 28 * 2


def test_quantised_layers_keep_their_madds() -> None:
    states = (tensor(1, BATCH, HIDDEN), tensor(1, BATCH, HIDDEN))
    found = cost("aten.quantized_lstm", tensor(STEPS, BATCH, HIDDEN), input=X, hx=states, **ONE_LAYER)
    assert found == Cost(POSITIONS * 28 * 12, POSITIONS * 7 * 21)
