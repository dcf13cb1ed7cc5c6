"""What users hand over besides plain modules: exported, compiled and wrapped library models, and ``generate()``."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.coverage.test_no_unknown import CONFIGURATIONS
from tests.libraries import import_torchvision
from torchstat_cli.errors import SpecError

pytestmark = [
    pytest.mark.libraries,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),  # torch's own importing of its compiler
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),  # from torch 2.14 on
]

IMAGE = torch.ones(1, 3, 64, 64)


def squeezenet() -> nn.Module:
    torchvision = import_torchvision()
    model: nn.Module = torchvision.models.squeezenet1_1().eval()
    return model


def language_model() -> Any:
    transformers = pytest.importorskip("transformers")
    import_torchvision()
    config = transformers.AutoConfig.for_model(**json.loads(json.dumps(CONFIGURATIONS["gpt2"])))
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "compiled"])
def test_wrapped_models_are_their_insides(wrap: Any) -> None:
    model = squeezenet()
    plain, wrapped = ms.profile(model, IMAGE), ms.profile(wrap(model), IMAGE)
    assert wrapped.total == plain.total
    assert [row.path for row in wrapped.rows] == [row.path for row in plain.rows]


def test_a_traced_model_counts_the_same() -> None:
    model = squeezenet()
    traced = torch.jit.trace(model, IMAGE)
    assert ms.profile(traced, IMAGE).total.madds == ms.profile(model, IMAGE).total.madds


def test_an_exported_program_is_refused_and_its_module_is_not() -> None:
    model = squeezenet()
    program = torch.export.export(model, (IMAGE,))
    with pytest.raises(SpecError, match="an exported program has no modules of its own") as caught:
        ms.profile(program, IMAGE)  # type: ignore[arg-type]
    assert caught.value.hint == "give what its module() returns, or the model it came from"
    report = ms.profile(program.module(), IMAGE)
    assert report.total.madds == ms.profile(model, IMAGE).total.madds
    assert report.total.params == sum(parameter.numel() for parameter in model.parameters())


def test_generating_costs_what_its_steps_cost() -> None:
    model = language_model()
    width, vocabulary, layers, prompt, made = 64, 1000, 2, 5, 3
    with ms.instrument(model) as capture:
        model.generate(
            torch.ones(1, prompt, dtype=torch.int64), max_new_tokens=made, min_new_tokens=made, do_sample=False
        )
    report = capture.profile()
    # The prompt at once, then each token but the last made alone; scores of every token against those in the cache.
    tokens = [prompt] + [1] * (made - 1)
    known = [prompt + step for step in range(made)]
    linear = sum(tokens) * layers * (3 + 1 + 4 + 4) * width**2 + made * vocabulary * width
    scores = sum(2 * layers * new * old * width for new, old in zip(tokens, known, strict=True))
    assert report.total.madds == linear + scores
    assert report.at("transformer.h.0").calls == made
    assert report.unknown == ()


def test_outputs_with_caches_are_described() -> None:
    report = ms.profile(language_model(), torch.ones(1, 5, dtype=torch.int64))
    assert report.at("").output_shape[0] == (1, 5, 1000)  # logits; the cache's tensors follow
    assert {(1, 4, 5, 16)} == set(report.at("").output_shape[1:])
