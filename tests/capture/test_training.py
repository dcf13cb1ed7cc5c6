"""Training steps: MAdds by hand and against torch, attribution, phases, memory, and what must not happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import torchstat_cli as ms
from sample_models.recurrent import lstm_classifier
from sample_models.resnet import resnet18
from sample_models.unet import unet
from sample_models.vit import vit_tiny
from torchstat_cli.errors import SpecError, TrainingError, UsageError
from torchstat_cli.records import TrainingCost


def trained(model: nn.Module, *inputs: Tensor, **options: Any) -> ms.Report:
    return ms.profile(model, *inputs, train=True, **options)


def cost(model: nn.Module, *inputs: Tensor, **options: Any) -> TrainingCost:
    report = trained(model, *inputs, **options)
    assert report.training is not None
    assert report.unknown == ()
    return report.training.total


# --- by hand ---------------------------------------------------------------------------------------------------------

# name: module, input, MAdds of the forward pass, times that the backward pass forms the same products
BY_HAND: dict[str, tuple[nn.Module, Tensor, int, int]] = {
    "linear": (nn.Linear(8, 4), torch.zeros(3, 8), 3 * 8 * 4, 1),  # the input wants no gradient: the weight's alone
    "grouped convolution": (nn.Conv2d(8, 16, 3, groups=4), torch.zeros(1, 8, 6, 6), 16 * 16 * 2 * 9, 1),
    "depthwise convolution": (nn.Conv2d(8, 8, 3, groups=8), torch.zeros(1, 8, 6, 6), 8 * 16 * 9, 1),
    "transposed": (nn.ConvTranspose2d(4, 6, 2, stride=2), torch.zeros(1, 4, 5, 5), 4 * 25 * 6 * 4, 1),
    "grouped transposed": (nn.ConvTranspose2d(4, 6, 2, groups=2), torch.zeros(1, 4, 5, 5), 4 * 25 * 3 * 4, 1),
    "embedding": (nn.Embedding(10, 4), torch.zeros(2, 3, dtype=torch.int64), 0, 0),
    "layer norm": (nn.LayerNorm(8), torch.zeros(3, 8), 0, 0),
    "batch norm": (nn.BatchNorm2d(3), torch.zeros(2, 3, 4, 4), 0, 0),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_madds_by_hand(name: str) -> None:
    module, given, forward, times = BY_HAND[name]
    found = cost(module, given)
    assert (found.forward_madds, found.backward_madds) == (forward, times * forward)


def test_an_input_gradient_costs_as_much_as_the_weights() -> None:
    report = trained(nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2)), torch.zeros(3, 8))
    first, second = (row.training for row in report.rows if row.path in ("0", "1"))
    assert first is not None
    assert second is not None
    assert (first.forward_madds, first.backward_madds) == (96, 96)
    assert (second.forward_madds, second.backward_madds) == (24, 48)


def test_frozen_parameters_cost_nothing() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    report = trained(model, torch.zeros(3, 8), memory=True)
    assert report.training is not None
    assert report.training.total.backward_madds == 24  # the second weight alone
    assert report.memory is not None
    assert report.memory.at_peak()["gradient"] <= (4 * 2 + 2) * 4


class Attention(nn.Module):
    """Attention of 2 heads over 6 positions, heads 8 wide."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Linear(16, 48, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.inward(x).chunk(3, -1)
        return F.scaled_dot_product_attention(*(part.view(1, 6, 2, 8).transpose(1, 2) for part in parts))


@pytest.mark.parametrize(("backend", "products"), [("math", 4), ("flash", 5), ("efficient", 5), ("auto", 5)])
def test_attention_by_hand(backend: str, products: int) -> None:
    # Every product is heads x queries x keys x width; the fused kernels compute the scores anew going backward.
    dtype = torch.bfloat16 if backend == "flash" else torch.float32
    report = trained(Attention().to(dtype), torch.zeros(1, 6, 16, dtype=dtype), attention=backend)
    root = report.rows[0].training
    assert root is not None
    assert root.forward_madds == 2 * (2 * 6 * 6 * 8)
    assert root.backward_madds == products * (2 * 6 * 6 * 8)
    assert report.provenance.attention == backend


# --- against torch ---------------------------------------------------------------------------------------------------

MODELS: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "resnet18": (resnet18, torch.zeros(2, 3, 32, 32)),
    "unet": (unet, torch.zeros(1, 3, 32, 32)),
    "vit_tiny": (vit_tiny, torch.zeros(1, 3, 224, 224)),
    "lstm": (lstm_classifier, torch.zeros(2, 5, dtype=torch.int64)),
}


@pytest.mark.parametrize("name", MODELS)
def test_madds_equal_those_of_torch(name: str) -> None:
    build, given = MODELS[name]
    with torch.device("meta"):
        model = build()
    found = cost(model, given, attention="math")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.train()(given.to("meta")).sum().backward()
    assert 2 * (found.forward_madds + found.backward_madds) == counter.get_total_flops()


# --- phases ----------------------------------------------------------------------------------------------------------


def test_rows_and_phases_sum_to_the_totals() -> None:
    report = trained(vit_tiny(), torch.zeros(1, 3, 224, 224), optimizer="adamw")
    assert report.training is not None
    total = TrainingCost()
    for row in report.rows:
        assert row.training is not None
        total += row.training
    assert total == report.training.total == report.total.training
    assert total.forward_flops + total.backward_flops + total.optimizer_flops == total.step2_flops == report.total.flops
    assert sum(operator.flops for operator in report.operators) == report.total.flops
    assert sum(part.flops for part in report.training.phases if part.step == 1) == total.step1_flops


def test_the_optimizer_is_attributed_to_its_parameters() -> None:
    report = trained(nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2)), torch.zeros(3, 8))
    flops = {row.path: row.training.optimizer_flops for row in report.rows if row.training}
    # p.add_(grad, alpha=-lr): a product and a sum per element
    assert (flops["0"], flops["1"]) == (2 * (32 + 4), 2 * (8 + 2))


def test_accumulation_repeats_the_passes_and_not_the_step() -> None:
    model, given = nn.Linear(8, 4), torch.zeros(3, 8)
    once, twice = cost(model, given), cost(model, given, accumulate=2)
    assert twice.forward_madds == 2 * once.forward_madds
    assert twice.backward_flops == 2 * once.backward_flops + 8 * 4 + 4  # the second gradients are added to the first
    assert twice.optimizer_flops == once.optimizer_flops


_NO_STATE = {"preserve_rng_state": False}  # else the state of the generator, 5056 bytes, is allocated below the tape


class Checkpointed(nn.Module):
    """Two layers in a checkpoint, one behind it."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        self.outer = nn.Linear(8, 8)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(checkpoint(self.inner, x.requires_grad_(), use_reentrant=self.reentrant, **_NO_STATE))


@pytest.mark.parametrize(("reentrant", "recomputed"), [(True, 2), (False, 1)])
def test_recomputation_is_seen_and_attributed(reentrant: bool, recomputed: int) -> None:
    report = trained(Checkpointed(reentrant), torch.zeros(3, 8))
    layer = 3 * 8 * 8
    backward = {row.path: row.training.backward_madds for row in report.rows if row.training}
    assert backward["outer"] == 2 * layer
    # Without re-entering, torch stops as soon as the last saved tensor is there: the second layer is not run again.
    assert backward["inner.0"] + backward["inner.1"] == (4 + recomputed) * layer
    assert all(row.calls == 1 for row in report.rows)


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["transformer", "checkpointed"])
def test_simulated_peak_is_the_allocators(name: str) -> None:
    if name == "checkpointed":
        model, given = Checkpointed(False), torch.zeros(64, 8)
    else:
        layer = nn.TransformerEncoderLayer(64, 2, 128, 0.0, batch_first=True)
        model, given = nn.Sequential(nn.Embedding(50, 64), layer), torch.zeros(4, 32, dtype=torch.int64)
    simulated = trained(model, given, memory=True, optimizer="adamw")
    real = trained(model, given, memory=True, optimizer="adamw", device="cpu")
    assert real.memory is not None
    assert real.memory.measured is not None
    assert simulated.total.peak is not None
    assert abs(simulated.total.peak - real.memory.measured) <= 0.001 * real.memory.measured + 64


def test_states_and_gradients_by_hand() -> None:
    report = trained(nn.Linear(100, 50, bias=False), torch.zeros(1, 100), memory=True, optimizer="adam")
    assert report.memory is not None
    held = report.memory.at_peak()
    assert (held["parameter"], held["gradient"]) == (20_000, 20_000)
    assert held["optimizer"] == 2 * 20_000 + 4  # two moments, and the step as one number
    assert report.memory.phase == "optimizer"


def test_gradients_keep_their_dtype_and_autocast_lowers_activations() -> None:
    half = trained(nn.Linear(64, 64, bias=False).bfloat16(), torch.zeros(2, 64, dtype=torch.bfloat16), memory=True)
    assert half.memory is not None
    assert half.memory.at_peak()["gradient"] == 64 * 64 * 2
    layers, given = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)), torch.zeros(64, 8)
    report = trained(layers, given, autocast="bfloat16")
    assert {row.dtype for row in report.rows if row.type == "Linear"} == {"bfloat16"}
    assert report.training is not None
    assert report.training.setup.autocast == "bfloat16"
    assert F.linear is torch._C._nn.linear  # put back


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for device in ("auto", "cpu"):
        trained(model, torch.randn(3, 8), optimizer="sgd:lr=1.0", device=device)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    with torch.device("meta"):
        on_meta = nn.Linear(8, 4)
    trained(on_meta, torch.zeros(3, 8))
    assert on_meta.weight.grad is None


# --- bad input -------------------------------------------------------------------------------------------------------


class BadBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        raise ValueError("no way back")


class Fails(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return BadBackward.apply(self.layer(x))


MISTAKES: dict[str, tuple[nn.Module, dict[str, Any], type[Exception], str]] = {
    "nothing to train": (nn.ReLU(), {}, TrainingError, "nothing to train"),
    "no scalar": (nn.Linear(8, 4), {"loss": lambda y: y}, TrainingError, "shape 3x4"),
    "no tensor": (nn.Linear(8, 4), {"loss": lambda y: 1.0}, TrainingError, "of type float"),
    "detached": (nn.Linear(8, 4), {"loss": lambda y: y.detach().sum()}, TrainingError, "does not depend"),
    "loss raises": (nn.Linear(8, 4), {"loss": lambda y: y.nothing}, TrainingError, "loss failed: AttributeError"),
    "no way back": (Fails(), {}, TrainingError, "backward pass failed.*no way back"),
    "unknown optimizer": (nn.Linear(8, 4), {"optimizer": "adm"}, UsageError, "no optimizer 'adm'"),
    "unknown argument": (nn.Linear(8, 4), {"optimizer": "adam:rate=1"}, UsageError, "no argument of adam"),
    "refused argument": (nn.Linear(8, 4), {"optimizer": "adam:lr=-1.0"}, TrainingError, "could not be made"),
    "no function": (nn.Linear(8, 4), {"loss": "nowhere_at_all:loss"}, SpecError, "nowhere_at_all"),
    "no passes": (nn.Linear(8, 4), {"accumulate": 0}, UsageError, "accumulate 0"),
    "no such attention": (nn.Linear(8, 4), {"attention": "fast"}, UsageError, "no attention backend 'fast'"),
    "integer autocast": (nn.Linear(8, 4), {"autocast": "int8"}, UsageError, "no floating dtype"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_a_clear_sentence(name: str) -> None:
    model, options, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words) as caught:
        trained(model, torch.zeros(3, 8), **options)
    assert getattr(caught.value, "hint", None)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_module_among_the_inputs_trains_and_stays_as_it_was(device: str) -> None:
    """Its own weight and the model's, on 3 rows of 4: one forward product each; two gradients of the first (its input
    wants none) and the second, whose input does.
    """

    class Taking(nn.Linear):
        def forward(self, rows: Tensor, first: nn.Module) -> Tensor:
            return super().forward(first(rows))

    first, model = nn.Linear(4, 4), Taking(4, 4)
    before = {name: (id(value), value.device.type) for name, value in first.named_parameters()}
    total = ms.profile(model, torch.zeros(3, 4), first, train=True, device=device).total
    assert total.madds == (2 + 3) * 3 * 4 * 4
    assert {name: (id(value), value.device.type) for name, value in first.named_parameters()} == before
    assert all(type(value) is nn.Parameter and value.grad is None for value in first.parameters())
