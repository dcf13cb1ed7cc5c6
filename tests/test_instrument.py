"""``ms.instrument``: loops of the user's own, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, linear
from torchstat_cli.errors import (
    SpecError,
)


def test_observed_loop_of_several_calls() -> None:
    model = nn.Sequential(linear(), nn.ReLU())
    with ms.instrument(model) as capture:
        for size in (1, 2, 3):
            model(torch.zeros(size, 4))
    report = capture.profile()
    assert report.total.madds == (1 + 2 + 3) * 16
    assert (report.at("0").calls, report.at("0").input_shape) == (3, ((1, 4),))
    assert (report.provenance.placement, report.provenance.inputs[0].shape) == ("cpu", (1, 4))


def test_observed_training_step_counts_forward_and_backward() -> None:
    """Two layers of 32 MAdds forward; backward the gradient of each weight, and of the input of the second only."""
    model = nn.Sequential(linear(), linear())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model[0].weight.detach().clone()
    with ms.instrument(model) as capture:
        model(ROWS).sum().backward()
        optimizer.step()
    report = capture.profile()
    assert report.total.madds == 2 * LINEAR + 2 * LINEAR + LINEAR
    assert report.unknown == ()
    assert not torch.equal(model[0].weight, before)  # it did train
    assert report.provenance.mode == "train"


def test_observed_generation_counts_every_step() -> None:
    model = ms.load_model("sample_models.language:decoder_lm").eval()
    tokens = torch.zeros(1, 3, dtype=torch.int64)
    with torch.inference_mode():
        alone = [ms.profile(model, torch.zeros(1, length, dtype=torch.int64)).total.madds for length in (3, 4, 5)]
        with ms.instrument(model) as capture:
            for _ in range(3):
                tokens = torch.cat([tokens, model(tokens)[:, -1:].argmax(-1)], 1)
    assert capture.profile().total.madds == sum(alone)
    assert tokens.shape == (1, 6)


def test_observed_wrapper_is_observed_on_what_it_wraps() -> None:
    model = nn.DataParallel(nn.Sequential(linear()))
    with ms.instrument(model) as capture:
        model(ROWS)
    assert capture.profile().at("0").madds == LINEAR


@pytest.mark.parametrize("model", ["mlp", None, nn.Linear])
def test_instrument_takes_modules_only(model: Any) -> None:
    with pytest.raises(SpecError, match=r"(?s)is not a module.*load_model"):
        ms.instrument(model)
