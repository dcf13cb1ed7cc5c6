"""timm by name: the input sizes of its own configurations."""

from __future__ import annotations

import pytest

from tests.libraries import import_timm
from torchstat_cli.errors import SpecError
from torchstat_cli.loading import find_model, place

pytestmark = pytest.mark.libraries


@pytest.fixture(autouse=True)
def library() -> None:
    import_timm()


@pytest.mark.parametrize(
    ("name", "arguments", "specs"),
    [
        ("resnet18", {}, ("1,3,224,224",)),
        ("resnet18.a1_in1k", {}, ("1,3,224,224",)),
        ("vit_tiny_patch16_224", {"in_chans": 1}, ("1,1,224,224",)),
        ("vit_tiny_patch16_224", {"img_size": 64}, ("1,3,64,64",)),
        ("vit_tiny_patch16_224", {"img_size": (64, 32)}, ("1,3,64,32",)),
    ],
)
def test_usual_inputs(name: str, arguments: dict[str, object], specs: tuple[str, ...]) -> None:
    source = find_model(f"timm/{name}", arguments)
    assert source.example_inputs == specs
    assert source.resolved.endswith(f":{name}")
    assert place(source).placement == "meta"


def test_names_that_torchvision_lacks_are_timms() -> None:
    assert find_model("resnet10t").resolved == "timm.models.resnet:resnet10t"


@pytest.mark.parametrize("name", ["resnt18", "", "hf-hub:some/model", "resnet18/x"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(SpecError, match=f"timm has no model '{name}'"):
        find_model(f"timm/{name}")


def test_weights_are_refused() -> None:
    with pytest.raises(SpecError, match="pretrained=True asks for pretrained weights"):
        find_model("timm/resnet18", {"pretrained": True})
