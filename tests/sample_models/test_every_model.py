"""What holds for every sample model: cheap to build, runs at its examples, the same shapes on meta as on the CPU."""

import pytest
import torch

from tests.sample_models.building import (
    BUILDABLE,
    NEEDS_VALUES,
    RUNNABLE,
    count_parameters,
    example_call,
    find_factory,
    moved,
    tensors_in,
)

# Each number is worked out in the test of its own file.
PARAMETERS = {
    "called_three_times": 4_810,
    "data_dependent_branch": 1_416,
    "decoder_lm": 554_624,
    "dict_input": 321,
    "functional_only": 5_952,
    "lstm_classifier": 182_149,
    "mixture_of_experts": 16_512,
    "mlp": 269_322,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "returns_no_tensor": 16 * 16 + 16,
    "routed_experts": 16_512,
    "transformer_encoder": 562_954,
    "two_inputs": 34_624,
    "unet": 482_754,
    "vit": 86_567_656,
    "vit_tiny": 5_717_416,
}


def _run_on_meta(name):
    with torch.device("meta"):
        model = find_factory(name)().eval()
    args, kwargs = moved(example_call(name), "meta")
    with torch.inference_mode():
        return model(*args, **kwargs)


@pytest.mark.parametrize("name", BUILDABLE)
def test_on_meta_nothing_of_the_model_is_real(name):
    with torch.device("meta"):
        model = find_factory(name)()
    tensors = [*model.parameters(), *model.buffers()]
    assert tensors
    assert all(tensor.is_meta for tensor in tensors)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_every_runnable_model_has_a_count():
    assert sorted(PARAMETERS) == RUNNABLE


@pytest.mark.parametrize("name", RUNNABLE)
def test_parameters(name):
    with torch.device("meta"):
        assert count_parameters(find_factory(name)()) == PARAMETERS[name]


@pytest.mark.parametrize("name", RUNNABLE)
def test_runs_on_the_cpu_as_on_meta(name):
    model = find_factory(name)().eval()
    args, kwargs = example_call(name)
    with torch.inference_mode():
        outputs = list(tensors_in(model(*args, **kwargs)))
    assert bool(outputs) == (name != "returns_no_tensor")
    assert all(output.isfinite().all() for output in outputs)
    if name not in NEEDS_VALUES:
        on_meta = list(tensors_in(_run_on_meta(name)))
        assert [(o.shape, o.dtype) for o in on_meta] == [(o.shape, o.dtype) for o in outputs]


@pytest.mark.parametrize("name", sorted(NEEDS_VALUES))
def test_data_dependent_models_refuse_meta(name):
    with pytest.raises(RuntimeError, match="meta"):
        _run_on_meta(name)


@pytest.mark.parametrize("name", sorted(set(RUNNABLE) - {"returns_no_tensor", "vit", "resnet50"}))
def test_trains(name):
    """Every parameter gets a gradient, except those of the branch that was not taken."""
    model = find_factory(name)().train()
    args, kwargs = example_call(name)
    sum(output.sum() for output in tensors_in(model(*args, **kwargs))).backward()
    without = {path for path, parameter in model.named_parameters() if parameter.grad is None}
    assert all(path.startswith(("positive.", "negative.")) for path in without)
