"""`compat="torchvision"` against torchvision itself, and the default against true values, on torchvision's models."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from tests.activations.models import Staged, true_values
from tests.libraries import import_torchvision
from torchstat_cli.activations import create_feature_extractor, get_graph_node_names
from torchstat_cli.errors import ModelError, SelectionError

pytestmark = pytest.mark.libraries

SPOT_VALUES = {
    "resnet18": (70, 70, "8a2a4864db"),
    "resnet50": (176, 176, "1094b3ef01"),
    "densenet121": (432, 432, "38f57411e9"),
    "vit_b_16": (187, 187, "c6015af871"),
    "swin_t": (186, 186, "97545410f4"),
    "convnext_tiny": (226, 226, "0c9d4c5290"),
    "maxvit_t": (1509, 1509, "6058a5b651"),
    "inception_v3": (325, 315, "fc96eef8d1"),
    "mobilenet_v3_small": (56, 56, "8d3db89e49"),
    "vgg16": (41, 41, "7c9f4063e8"),
}


def build(name: str, device: str = "cpu", **options: Any) -> nn.Module:
    torchvision = import_torchvision()
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False, "aux_logits": True} | options
    with torch.device(device):
        torch.manual_seed(0)
        model: nn.Module = getattr(torchvision.models, name)(**options)
    return model


def peers() -> Any:
    import_torchvision()
    from torchvision.models import feature_extraction

    return feature_extraction


@pytest.mark.parametrize("name", SPOT_VALUES)
def test_known_names(name: str) -> None:
    train_names, eval_names = get_graph_node_names(
        build(name, "meta"), suppress_diff_warning=True, compat="torchvision"
    )
    digest = hashlib.sha1("\n".join([*train_names, "|", *eval_names]).encode()).hexdigest()[:10]
    assert (len(train_names), len(eval_names), digest) == SPOT_VALUES[name]


_register = nn.Module.register_parameter


def _register_without_memory(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
    _register(module, name, parameter if parameter is None else nn.Parameter(parameter.detach().to("meta")))


def test_names_of_every_classification_model(monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision = import_torchvision()
    peer = peers()
    names = torchvision.models.list_models(module=torchvision.models)
    assert len(names) >= 80
    for name in names:
        with monkeypatch.context() as patch:
            if name.startswith("regnet"):  # computes its widths from tensors, which meta cannot
                patch.setattr(nn.Module, "register_parameter", _register_without_memory)
            model = build(name, "cpu" if name.startswith("regnet") else "meta")
        expected = peer.get_graph_node_names(model, suppress_diff_warning=True)
        assert get_graph_node_names(model, suppress_diff_warning=True, compat="torchvision") == expected, name


def test_default_names_of_resnet18_are_torchvisions() -> None:
    model = build("resnet18", "meta")
    assert get_graph_node_names(model) == peers().get_graph_node_names(model)


INPUT_SIZES = {"vit_b_32": 224}


@pytest.mark.parametrize(
    "name", ["resnet18", "vgg11", "squeezenet1_1", "mnasnet0_5", "convnext_tiny", "swin_t", "vit_b_32"]
)
@pytest.mark.filterwarnings("ignore:torchvision's name")
def test_compat_features_are_bitwise_torchvisions(name: str) -> None:
    model = build(name).eval()
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    size = INPUT_SIZES.get(name, 64)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    names = get_graph_node_names(model, compat="torchvision")[1]
    with torch.no_grad():
        ours = create_feature_extractor(model, names, compat="torchvision")(x)
        theirs = peers().create_feature_extractor(model, names)(x)
    assert list(ours) == list(theirs)
    tensors = [node for node in names if isinstance(theirs[node], torch.Tensor)]
    assert len(tensors) > 30
    for node in tensors:
        assert torch.equal(ours[node], theirs[node]), node


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "squeezenet1_1", "shufflenet_v2_x0_5"])
def test_default_features_are_true_where_torchvisions_are_overwritten(name: str) -> None:
    model = build(name).eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = true_values(model, x)
    extractor = create_feature_extractor(model, list(expected))
    assert extractor.engine == "fx"
    with torch.no_grad():
        features = extractor(x)
        theirs = peers().create_feature_extractor(model, list(expected))(x)
    wrong = [path for path, value in expected.items() if not torch.equal(features[path], value)]
    assert wrong == []
    assert any(not torch.equal(theirs[path], value) for path, value in expected.items())


def test_vits_norms_bear_their_own_names() -> None:
    model = build("vit_b_32").eval()
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    block = "encoder.layers.encoder_layer_0"
    names = [f"{block}.ln_1", f"{block}.ln_2"]
    expected = true_values(model, x)
    with torch.no_grad():
        features = create_feature_extractor(model, names)(x)
        with pytest.warns(UserWarning, match="denotes another module"):
            compat = create_feature_extractor(model, names[:1], compat="torchvision")(x)
        theirs = peers().create_feature_extractor(model, names[:1])(x)
    for name in names:
        torch.testing.assert_close(features[name], expected[name], rtol=0, atol=1e-5)
    assert not torch.allclose(expected[names[0]], expected[names[1]])
    assert torch.equal(compat[names[0]], theirs[names[0]])


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_models_with_two_graphs_warn_once(name: str) -> None:
    model = build(name, "meta")
    with pytest.warns(UserWarning, match="eval mode are a subsequence of those obtained in train mode") as caught:
        train_names, eval_names = get_graph_node_names(model)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        get_graph_node_names(model, suppress_diff_warning=True)
    only_train = next(node for node in train_names if node not in eval_names)
    extractor = create_feature_extractor(
        model, train_return_nodes=[only_train], eval_return_nodes=["fc"], suppress_diff_warning=True
    )
    x = torch.randn(2, 3, 299, 299, device="meta")
    assert list(extractor.train()(x)) == [only_train]
    assert list(extractor.eval()(x)) == ["fc"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"train_return_nodes": ["head"]},
        {"eval_return_nodes": ["head"]},
        {"return_nodes": ["head"], "train_return_nodes": ["head"], "eval_return_nodes": ["head"]},
        {"return_nodes": ["absent"]},
        {"return_nodes": ["head", "stage.5"]},
    ],
)
def test_errors_are_of_torchvisions_kind(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w") as theirs:
        peers().create_feature_extractor(Staged(), **arguments)
    assert theirs.type is ValueError  # not a subclass
    for compat in (None, "torchvision"):
        with pytest.raises(ValueError, match=r"\w"):
            create_feature_extractor(Staged(), **arguments, compat=compat)


def test_a_query_is_no_regular_expression() -> None:
    model = build("resnet18", "meta")
    for compat in (None, "torchvision"):
        with pytest.raises(SelectionError, match=r"re\.u") as caught:
            create_feature_extractor(model, ["layer1.0.re.u"], compat=compat)  # type: ignore[arg-type]
        assert "layer1.0.relu" in str(caught.value)


@pytest.mark.filterwarnings("ignore:torchvision's name")
def test_nested_queries_go_wrong_as_they_do_there() -> None:
    model = Staged().eval()
    x = torch.linspace(-1, 1, 12).reshape(3, 4)
    ours = create_feature_extractor(model, ["stage", "stage.1"], compat="torchvision")(x)
    theirs = peers().create_feature_extractor(model, ["stage", "stage.1"])(x)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert not torch.equal(ours["stage.1"], ours["stage"])


def test_an_untraceable_model_has_no_compat_names() -> None:
    class Untraceable(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match="control flow"):
        get_graph_node_names(Untraceable(), compat="torchvision")


def test_leaves_of_torchvision_operators_have_values_too() -> None:
    model = build("mobilenet_v3_small").eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    inside = "features.0.0"  # of a Conv2dNormActivation, which a graph takes as one node
    extractor = create_feature_extractor(model, [inside])
    assert extractor.engine == "hooks"
    assert torch.equal(extractor(x)[inside], true_values(model, x)[inside])
