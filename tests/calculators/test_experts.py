"""Active parameters of mixtures of experts, by numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from sample_models.experts import mixture_of_experts, routed_experts
from torchstat_cli.report.profile.saved import from_json

WIDTH, HIDDEN = 8, 16
TOKENS = torch.ones(5, WIDTH)
EXPERT = WIDTH * HIDDEN + HIDDEN + HIDDEN * WIDTH + WIDTH  # 280


def expert(hidden: int = HIDDEN) -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, hidden), nn.ReLU(), nn.Linear(hidden, WIDTH))


class ByList(nn.Module):
    """A gate and any modules side by side, under names that say nothing."""

    def __init__(self, members: int = 4, top_k: int = 2, make: Callable[[int], nn.Module] = lambda _: expert()) -> None:
        super().__init__()
        self.number = top_k
        self.gate = nn.Linear(WIDTH, members, bias=False)
        self.parts = nn.ModuleList(make(index) for index in range(members))

    def choose(self, x: Tensor) -> Tensor:
        return self.gate(x).topk(self.number, dim=-1).indices

    def forward(self, x: Tensor) -> Tensor:
        chosen, mixed = self.choose(x), torch.zeros_like(x)
        for index, part in enumerate(self.parts):
            mixed = mixed + (chosen == index).any(-1, keepdim=True) * part(x)
        return mixed


class Stacked(nn.Module):
    """Weights and biases of all experts in one tensor each, the router's weight beside them."""

    def __init__(self, members: int = 4, top_k: int = 1) -> None:
        super().__init__()
        self.number = top_k
        self.scores = nn.Parameter(torch.ones(members, WIDTH))
        self.up = nn.Parameter(torch.ones(members, WIDTH, HIDDEN))
        self.up_bias = nn.Parameter(torch.ones(members, HIDDEN))
        self.down = nn.Parameter(torch.ones(members, HIDDEN, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = nn.functional.linear(x, self.scores).softmax(-1).topk(self.number, dim=-1)
        hidden = torch.einsum("tw,ewh->teh", x, self.up) + self.up_bias
        outputs = torch.einsum("teh,ehw->tew", hidden.relu(), self.down)
        return (outputs.gather(1, chosen[..., None].expand(-1, -1, WIDTH)) * weights[..., None]).sum(1)


def profile(model: nn.Module, inputs: Tensor = TOKENS, **options: Any) -> ms.Report:
    return ms.profile(model.eval(), inputs, **options)


@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_modules_side_by_side(top_k: int) -> None:
    report = profile(ByList(4, top_k))
    assert report.total.params == 4 * WIDTH + 4 * EXPERT
    assert report.total.active_params == 4 * WIDTH + top_k * EXPERT
    (mixture,) = report.mixtures
    assert (mixture.path, mixture.experts, mixture.active, mixture.chosen_by) == ("parts", 4, top_k, "topk of (root)")
    assert (mixture.params, mixture.active_params) == (4 * EXPERT, top_k * EXPERT)


@pytest.mark.parametrize("options", [{"device": "cpu"}, {"train": True}, {"memory": True}], ids=str)
def test_every_kind_of_run_says_the_same(options: dict[str, Any]) -> None:
    assert profile(ByList(), **options).total.active_params == 4 * WIDTH + 2 * EXPERT


def test_an_observed_loop_says_the_same() -> None:
    model = ByList().eval()
    with ms.instrument(model) as capture:
        model(TOKENS)
        model(TOKENS)
    assert capture.profile().total.active_params == 4 * WIDTH + 2 * EXPERT


def test_the_axis_of_topk_may_be_left_out() -> None:
    class Plain(ByList):
        def choose(self, x: Tensor) -> Tensor:
            return self.gate(x).softmax(-1).topk(self.number).indices

    assert profile(Plain()).total.active_params == 4 * WIDTH + 2 * EXPERT


def test_attributes_side_by_side() -> None:
    class ByName(ByList):
        def __init__(self) -> None:
            super().__init__(3, 1)
            for index, part in enumerate(self.parts):
                setattr(self, f"ffn{index}", part)
            self.always = expert(4)
            del self.parts

        @property
        def members(self) -> list[nn.Module]:
            return [self.ffn0, self.ffn1, self.ffn2]

        def forward(self, x: Tensor) -> Tensor:
            chosen = self.choose(x)
            routed = sum((chosen == index) * part(x) for index, part in enumerate(self.members))
            return self.always(x) + routed

    always = WIDTH * 4 + 4 + 4 * WIDTH + WIDTH
    assert profile(ByName()).total.active_params == 3 * WIDTH + always + EXPERT


@pytest.mark.parametrize("make", [mixture_of_experts, routed_experts])
def test_stacked_weights(make: Callable[[], nn.Module]) -> None:
    report = profile(make(), torch.ones(8, 32))
    assert report.total.active_params == 32 * 4 + 2 * (32 * 64 + 64 * 32)


def test_biases_are_the_experts_and_the_routers_weight_is_not() -> None:
    """The bias ``(experts, hidden)`` and the router's weight ``(experts, width)`` look alike; only one makes scores."""
    per_expert = 2 * WIDTH * HIDDEN + HIDDEN
    report = profile(Stacked())
    assert report.total.params == 4 * WIDTH + 4 * per_expert
    assert report.total.active_params == 4 * WIDTH + per_expert


def test_layers_add_up_and_dense_ones_are_always_active() -> None:
    report = profile(nn.Sequential(nn.Linear(WIDTH, WIDTH), ByList(4, 2), ByList(8, 2), Stacked()))
    dense, first, second = WIDTH * WIDTH + WIDTH, 4 * WIDTH + 2 * EXPERT, 8 * WIDTH + 2 * EXPERT
    assert report.total.active_params == dense + first + second + 4 * WIDTH + 2 * WIDTH * HIDDEN + HIDDEN
    assert [mixture.path for mixture in report.mixtures] == ["1.parts", "2.parts", "3"]


def test_what_experts_share_is_always_active() -> None:
    model = ByList(4, 1, lambda _: nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))))
    for part in model.parts:
        part[0].weight = model.parts[0][0].weight
    assert profile(model).total.active_params == 4 * WIDTH + WIDTH**2 + WIDTH**2


def test_one_mixture_used_twice_counts_once() -> None:
    mixture = ByList(4, 1)
    assert profile(nn.Sequential(mixture, mixture)).total.active_params == 4 * WIDTH + EXPERT


class SortedList(ByList):
    """Picks without ``topk``, so that only a setting can say how many."""

    def choose(self, x: Tensor) -> Tensor:
        return self.gate(x).sort(dim=-1, descending=True).indices[..., : self.number]


def named(model: ByList, **settings: Any) -> ByList:
    """The same with its parts called experts."""
    model.experts = model.parts
    del model.parts
    type(model).parts = property(lambda self: self.experts)  # type: ignore[attr-defined]
    for name, value in settings.items():
        setattr(model, name, value)
    return model


def fresh(kind: type[ByList]) -> type[ByList]:
    """A class of its own, which a test may change."""
    return type(kind.__name__, (kind,), {})


def test_a_setting_says_how_many() -> None:
    report = profile(named(fresh(SortedList)(4, 3), num_experts_per_tok=3))
    assert report.total.active_params == 4 * WIDTH + 3 * EXPERT
    assert report.mixtures[0].chosen_by == "num_experts_per_tok of (root)"


def test_settings_that_contradict_each_other_say_nothing() -> None:
    assert profile(named(fresh(SortedList)(4, 3), num_experts_per_tok=3, top_k=2)).total.active_params is None


class BestTwo(ByList):
    """Takes the best, then the best of the others, as NLLB's router does."""

    def choose(self, x: Tensor) -> Tensor:
        scores = self.gate(x)
        best = scores.argmax(-1, keepdim=True)
        second = scores.scatter(-1, best, float("-inf")).argmax(-1, keepdim=True)
        return torch.cat([best, second], -1)


class Best(ByList):
    def choose(self, x: Tensor) -> Tensor:
        return self.gate(x).argmax(-1, keepdim=True)


@pytest.mark.parametrize(("kind", "active"), [(Best, 1), (BestTwo, 2)])
def test_argmax_picks_one_each_time(kind: type[ByList], active: int) -> None:
    assert profile(named(fresh(kind)(4, 1))).total.active_params == 4 * WIDTH + active * EXPERT


class ExpertsChoose(ByList):
    """Each expert takes the tokens that suit it: how many experts work for a token is open."""

    def choose(self, x: Tensor) -> Tensor:
        tokens = self.gate(x).t().topk(2, dim=-1).indices
        return torch.zeros(len(x), len(tokens), device=x.device).scatter(0, tokens.t(), 1.0).long() - 1


class AmongMore(ByList):
    """Two more choices than experts, which do nothing: how many experts work for a token is open."""

    def __init__(self) -> None:
        super().__init__(4, 2)
        self.gate = nn.Linear(WIDTH, 6)
        self.top_k = 2


class Soft(ByList):
    def forward(self, x: Tensor) -> Tensor:
        weights = self.gate(x).softmax(-1)
        return sum(weights[:, index, None] * part(x) for index, part in enumerate(self.parts))


UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "experts choose": lambda: named(fresh(ExpertsChoose)(4, 2)),
    "as many tokens as experts": lambda: named(fresh(ExpertsChoose)(5, 2)),
    "as many tokens as experts, with a setting": lambda: named(fresh(ExpertsChoose)(5, 2), top_k=2),
    "choices that are no experts": lambda: named(fresh(AmongMore)()),
    "every expert, weighted": lambda: named(fresh(Soft)(4, 2)),
    "sorted, without a setting": lambda: named(fresh(SortedList)(4, 2)),
    "experts of different sizes": lambda: named(fresh(ByList)(4, 2, lambda index: expert(4 + index))),
    "experts within experts": lambda: ByList(2, 1, lambda _: ByList()),
    "one mixture of two is unknown": lambda: nn.Sequential(ByList(), named(fresh(Soft)(4, 2))),
}


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_known_is_absent(make: Callable[[], nn.Module]) -> None:
    report = profile(make())
    assert report.total.active_params is None
    assert report.mixtures == ()
    assert "active" not in report.to_json().replace('"inactive"', "")
    assert "active" not in str(report)


class Classifier(nn.Module):
    """As many layers as classes, of which the best two are wanted: no experts."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.head(x).topk(2, dim=-1).values


class Detector(nn.Module):
    """A convolution with as many filters as there are scores."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.filters(x[:, None]).mean(-1).topk(2, dim=-1).values


@pytest.mark.parametrize("make", [Classifier, Detector, expert, lambda: nn.TransformerEncoderLayer(WIDTH, 2)])
def test_ordinary_models_have_none(make: Callable[[], nn.Module]) -> None:
    assert profile(make()).total.active_params is None


def test_every_output_shows_them_where_they_add_up() -> None:
    report = profile(ByList())
    line = "592 per token, 2 of 4 experts"
    assert report.total.active_params == 4 * WIDTH + 2 * EXPERT == 592
    for text in (str(report), report.to_markdown().replace("\\", ""), report.to_html()):
        assert line in text
        assert "topk" in text
    assert "active" not in report.to_csv()  # a single expert of several has no number of its own
    saved = from_json(report.to_json())
    assert (saved.total.active_params, saved.mixtures) == (592, report.mixtures)
