"""The residual networks are torchvision's in names, shapes, counts and values."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sample_models import resnet
from tests.libraries import import_torchvision
from tests.sample_models.building import count_parameters

NAMES = ["resnet18", "resnet50"]


def _types(model):
    return [(path, type(module).__name__) for path, module in model.named_modules()]


@pytest.mark.libraries
@pytest.mark.parametrize("name", NAMES)
def test_modules_and_state_equal_torchvisions(name):
    torchvision = import_torchvision()
    with torch.device("meta"):
        ours, theirs = getattr(resnet, name)(), getattr(torchvision.models, name)()
    assert _types(ours) == _types(theirs)
    shapes, expected = ({key: value.shape for key, value in m.state_dict().items()} for m in (ours, theirs))
    assert shapes == expected
    assert list(shapes) == list(expected)


@pytest.mark.libraries
@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_torchvisions(name):
    torchvision = import_torchvision()
    ours, theirs = getattr(resnet, name)().eval(), getattr(torchvision.models, name)().eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))


def test_madds_of_resnet18_are_the_published_ones():
    with torch.device("meta"):
        model, images = resnet.resnet18().eval(), torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(images)
    assert counter.get_total_flops() == 2 * 1_814_073_344


def test_arguments():
    with torch.device("meta"):
        # 990 classes fewer, each 512 weights and a bias.
        assert count_parameters(resnet.resnet18(num_classes=10)) == 11_689_512 - 990 * 513
        assert resnet.resnet50(width=8).fc.in_features == 8 * 8 * 4
