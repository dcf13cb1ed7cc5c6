"""Attention of modules that are not like others: variants of `nn.MultiheadAttention`, sinks, loops over heads."""

from __future__ import annotations

import types
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchstat_cli.activations import Recorder, observe
from torchstat_cli.errors import SelectionError

X = torch.linspace(-1, 1, 80).reshape(2, 5, 8)


class Wrapped(nn.MultiheadAttention):
    """Takes one argument, and makes three of it."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, x, x, need_weights=False)[0]


class Scaled(nn.MultiheadAttention):
    """Changes its query, and takes an argument that torch's module does not know."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, pos: float = 3.0) -> Any:  # type: ignore[override]
        return super().forward(query * pos, key, value)


class OwnKernel(nn.MultiheadAttention):
    """Borrows the weights alone."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        query, key, value = F.linear(x, self.in_proj_weight, self.in_proj_bias).unflatten(-1, (3, 2, 4)).unbind(2)
        attended = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
        return attended.transpose(1, 2).flatten(2)


class Around(nn.Module):
    def __init__(self, module: nn.Module, *extra: Any) -> None:
        super().__init__()
        self.att, self.extra = module, extra

    def forward(self, x: Tensor) -> Any:
        return (
            self.att(x, *self.extra) if isinstance(self.att, (Wrapped, OwnKernel)) else self.att(x, x, x, *self.extra)
        )


def own_map(module: nn.MultiheadAttention, query: Tensor) -> Tensor:
    maps = nn.MultiheadAttention.forward(module, query, X, X, average_attn_weights=False)[1]
    assert maps is not None
    return maps


@pytest.mark.parametrize("kind", [Wrapped, Scaled, OwnKernel])
@pytest.mark.parametrize("training", [True, False])
def test_a_subclass_is_observed_at_its_own_kernel_call(kind: type[nn.MultiheadAttention], training: bool) -> None:
    torch.manual_seed(0)
    model = Around(kind(8, 2, batch_first=True)).train(training)
    expected = own_map(model.att, X * 3 if kind is Scaled else X)  # type: ignore[arg-type]
    maps = Recorder(model, by_name=True)(X)[1]
    assert isinstance(maps, dict)
    assert list(maps) == ["att"]
    torch.testing.assert_close(maps["att"], expected, atol=1e-6, rtol=0)
    with observe(model, ["attn"]) as observation:
        model(X)
    torch.testing.assert_close(observation["attn:att"], expected, atol=1e-6, rtol=0)


def test_dropout_is_no_part_of_a_subclasss_map() -> None:
    torch.manual_seed(0)
    model = Around(Scaled(8, 2, dropout=0.5, batch_first=True)).train()
    maps = Recorder(model, by_name=True)(X)[1]
    model.att.dropout = 0.0  # type: ignore[assignment]
    assert isinstance(maps, dict)
    torch.testing.assert_close(maps["att"], own_map(model.att, X * 3))  # type: ignore[arg-type]


def test_a_forward_replaced_on_the_instance_is_observed() -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, batch_first=True)
    module.forward = types.MethodType(lambda self, q, k, v: nn.MultiheadAttention.forward(self, q * 3, k, v), module)  # type: ignore[method-assign]
    maps = Recorder(Around(module), by_name=True)(X)[1]
    assert isinstance(maps, dict)
    torch.testing.assert_close(maps["att"], own_map(module, X * 3))


def test_a_subclass_inside_torchs_encoder_layer_is_observed() -> None:
    torch.manual_seed(0)

    class Sharp(nn.MultiheadAttention):
        def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            return super().forward(query * 3, *args, **kwargs)

    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    layer.self_attn = Sharp(8, 2, batch_first=True)
    maps = Recorder(layer.train(), by_name=True)(X)[1]
    assert isinstance(maps, dict)
    torch.testing.assert_close(maps["self_attn"], own_map(layer.self_attn, X * 3))


def test_quantizable_and_quantized_variants_show_the_map_of_their_own_softmax() -> None:
    torch.manual_seed(0)
    plain = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    plain.qconfig = torch.ao.quantization.default_qconfig  # type: ignore[assignment]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        variant = torch.ao.nn.quantizable.MultiheadAttention.from_float(plain)
    maps = Recorder(Around(variant.eval()), by_name=True)(X)[1]
    assert isinstance(maps, dict)
    torch.testing.assert_close(maps["att"], own_map(plain, X), atol=1e-6, rtol=0)


def test_an_unbatched_call_has_a_batch_of_one() -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2)
    maps = Recorder(Around(module), by_name=True)(X[0])[1]
    assert isinstance(maps, dict)
    expected = module(X[0], X[0], X[0], average_attn_weights=False)[1]
    torch.testing.assert_close(maps["att"], expected[None])


def test_a_map_that_cannot_be_had_does_not_end_the_models_run() -> None:
    class Fickle(nn.MultiheadAttention):
        calls = 0

    model = Around(Fickle(8, 2, batch_first=True))

    def refuse(module: nn.Module, args: Any, output: Any) -> None:
        model.att.in_proj_weight = None  # type: ignore[assignment]

    expected = model(X)[0]
    model.att.register_forward_hook(refuse)
    with pytest.warns(UserWarning, match="no attention map of 'att' in this call"):
        output, maps = Recorder(model)(X)
    assert maps is None
    assert torch.equal(output[0], expected)


class SinkingAttention(nn.Module):
    """Attention with a learned sink for each head; the softmax sees one column more than there are keys."""

    def __init__(self, *, first: bool = False) -> None:
        super().__init__()
        self.num_heads, self.first = 2, first
        self.sinks = nn.Parameter(torch.tensor([0.5, -1.0]))

    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
        scores = heads @ heads.transpose(-2, -1)
        sinks = self.sinks.reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        probabilities = torch.cat([sinks, scores] if self.first else [scores, sinks], dim=-1).softmax(dim=-1)
        return (probabilities[..., 1:] if self.first else probabilities[..., :-1]) @ heads


@pytest.mark.parametrize("first", [True, False])
def test_sinks_are_no_keys_and_have_a_name_of_their_own(first: bool) -> None:
    attention = SinkingAttention(first=first)
    heads = X.unflatten(-1, (2, 4)).transpose(1, 2)
    raw = (heads @ heads.transpose(-2, -1)).exp()
    sinks = torch.tensor([0.5, -1.0]).exp().reshape(1, 2, 1, 1).expand(2, 2, 5, 1)
    whole = raw.sum(-1, keepdim=True) + sinks
    with observe(attention, ["attn", "attn:*sinks"]) as observation:
        attention(X)
    assert list(observation.values) == ["attn:", "attn:.sinks"]
    torch.testing.assert_close(observation["attn:"], raw / whole)
    torch.testing.assert_close(observation["attn:.sinks"], sinks / whole)
    maps = Recorder(attention, heads=[1], keys=[0, 4])(X)[1]
    torch.testing.assert_close(maps, (raw / whole)[:, None, [1]][..., [0, 4]])


def test_columns_that_the_model_uses_apart_are_no_sinks() -> None:
    class TwoAttention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            weights = (x @ x.transpose(-2, -1)).softmax(dim=-1)
            return weights[..., :1] @ x[:, :1] + weights[..., 1:] @ x[:, 1:]

    model = TwoAttention()
    with observe(model, ["attn"]) as observation:
        model(X)
    torch.testing.assert_close(observation["attn:"], (X @ X.transpose(-2, -1)).softmax(dim=-1))


def test_weights_masked_after_the_softmax_are_shown_masked_and_before_dropout() -> None:
    class MaskedAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            weights = (x @ x.transpose(-2, -1)).softmax(dim=-1)
            weights = weights.masked_fill(torch.tensor([False, False, False, False, True]), 0.0)
            return self.dropout(weights).mul_(0.5) @ x

    expected = (X @ X.transpose(-2, -1)).softmax(dim=-1)
    expected[..., 4] = 0.0
    for training in (True, False):
        model = MaskedAttention().train(training)
        with observe(model, ["attn"]) as observation:
            model(X)
        torch.testing.assert_close(observation["attn:"], expected)


class Folded(nn.Module):
    """Attention by batch matrix products over batch times heads; does not say its heads unless told so."""

    def __init__(self, *, says_so: bool) -> None:
        super().__init__()
        if says_so:
            self.num_heads = 2

    def forward(self, x: Tensor) -> Tensor:
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2).flatten(0, 1)
        return torch.bmm(heads, heads.transpose(1, 2)).softmax(dim=-1) @ heads


class FoldedAttention(Folded):
    pass


def test_heads_folded_into_the_batch_are_unfolded_where_their_number_is_known() -> None:
    maps = Recorder(FoldedAttention(says_so=True))(X)[1]
    heads = X.unflatten(-1, (2, 4)).transpose(1, 2)
    expected = (heads @ heads.transpose(-2, -1)).softmax(dim=-1)
    torch.testing.assert_close(maps, expected[:, None])
    chosen = Recorder(FoldedAttention(says_so=True), heads=[1])(X)[1]
    torch.testing.assert_close(chosen, expected[:, None, [1]])


def test_heads_are_refused_where_no_axis_is_known_to_be_theirs() -> None:
    with pytest.raises(SelectionError, match=r"heads cannot be chosen from an attention map of shape \(4, 5, 5\)"):
        Recorder(FoldedAttention(says_so=False), heads=[0])(X)
    maps = Recorder(FoldedAttention(says_so=False))(X)[1]
    assert isinstance(maps, Tensor)
    assert maps.shape == (4, 1, 5, 5)


@pytest.mark.parametrize("name", ["MHSA", "WindowMSA", "SW_MSA", "CrossMHA"])
def test_short_names_of_attention_are_known(name: str) -> None:
    model = type(name, (Folded,), {})(says_so=True)
    maps = Recorder(model)(X)[1]
    assert isinstance(maps, Tensor)
    assert maps.shape == (2, 1, 2, 5, 5)


def test_a_selection_of_attention_names_a_softmax_that_may_be_meant() -> None:
    model = nn.ModuleDict({"mix": Folded(says_so=True)})["mix"]
    with (
        pytest.raises(SelectionError, match="a softmax over a square ran in a module that does not call itself"),
        observe(model, ["attn"]),
    ):
        model(X)


def test_maps_under_autocast_are_computed_in_single() -> None:
    class FusedAttention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(x, x, x)

    torch.manual_seed(0)
    given = torch.randn(2, 2, 64, 32) * 3
    model = FusedAttention()
    with torch.autocast("cpu", dtype=torch.bfloat16), observe(model, ["attn"]) as observation:
        model(given)
    exact = (given.double() @ given.double().transpose(-2, -1) / 32**0.5).softmax(dim=-1)
    assert (observation["attn:"] - exact).abs().max() < 1e-5
