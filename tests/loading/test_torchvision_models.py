"""torchvision by name: parameter counts of its own published tables, and the usual input of each kind."""

from __future__ import annotations

import pytest
import torch

from tests.libraries import import_torchvision
from torchstat_cli.errors import BuildError, SpecError
from torchstat_cli.loading import default_inputs, find_model, place

pytestmark = pytest.mark.libraries


@pytest.fixture(autouse=True)
def library() -> None:
    import_torchvision()


@pytest.mark.parametrize(
    ("name", "resolved", "specs"),
    [
        ("resnet18", "torchvision.models:resnet18", ("1,3,224,224",)),
        ("inception_v3", "torchvision.models:inception_v3", ("1,3,299,299",)),
        ("efficientnet_b7", "torchvision.models:efficientnet_b7", ("1,3,600,600",)),
        ("vit_h_14", "torchvision.models:vit_h_14", ("1,3,224,224",)),
        ("fcn_resnet50", "torchvision.models.segmentation:fcn_resnet50", ("1,3,520,520",)),
        ("r3d_18", "torchvision.models.video:r3d_18", ("1,3,16,112,112",)),
        ("s3d", "torchvision.models.video:s3d", ("1,3,16,224,224",)),
        ("raft_small", "torchvision.models.optical_flow:raft_small", ("1,3,512,512", "1,3,512,512")),
        ("quantized_googlenet", "torchvision.models.quantization:googlenet", ("1,3,224,224",)),
    ],
)
def test_usual_inputs(name: str, resolved: str, specs: tuple[str, ...]) -> None:
    source = find_model(f"torchvision/{name}")
    assert (source.spec, source.resolved, source.example_inputs) == (f"torchvision/{name}", resolved, specs)
    assert place(source).placement == "meta"


@pytest.mark.parametrize(("name", "size"), [("fasterrcnn_resnet50_fpn", 800), ("ssd300_vgg16", 300)])
def test_detection_takes_a_list_of_images(name: str, size: int) -> None:
    inputs = default_inputs(find_model(name), device="meta", dtype=torch.float32)
    assert inputs is not None
    (images,) = inputs.args
    assert [tuple(image.shape) for image in images] == [(3, size, size)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "placement"), [("resnet50", "meta"), ("swin_t", "meta"), ("regnet_x_400mf", "meta-parameters")]
)
def test_parameters_are_the_published_ones(name: str, placement: str) -> None:
    import torchvision

    placed = place(find_model(name))
    published = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert sum(parameter.numel() for parameter in placed.model.parameters()) == published
    assert placed.placement == placement


def test_a_bare_name_is_torchvisions_first() -> None:
    assert find_model("resnet18").resolved == "torchvision.models:resnet18"
    assert find_model("resnet18", {"num_classes": 10}).build().fc.out_features == 10  # type: ignore[union-attr]
    assert find_model("vit_b_16", {"image_size": 384}).example_inputs == ("1,3,384,384",)


def test_what_it_refuses() -> None:
    with pytest.raises(SpecError, match="torchvision has no model 'resnt18'; did you mean resnet18"):
        find_model("torchvision/resnt18")
    with pytest.raises(SpecError, match="weights=DEFAULT asks for pretrained weights") as caught:
        find_model("resnet18", {"weights": "DEFAULT"})
    assert caught.value.hint == "leave --arg weights out: costs do not depend on the weights"
    with pytest.raises(BuildError, match="unexpected keyword argument 'nope'") as raised:
        find_model("resnet18", {"nope": 1}).build()
    assert raised.value.hint == "check the names of the --arg values"
