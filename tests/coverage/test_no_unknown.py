"""No operator of the model libraries is unknown, parameters are the model's, and MAdds are what torch counts itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.coverage.references import built, reference_madds
from tests.libraries import import_timm, import_torchvision
from torchstat_cli.loading import find_model
from torchstat_cli.records import Profile
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.settings import Settings

pytestmark = pytest.mark.libraries

HERE = Path(__file__).parent
TIMM = (HERE / "timm.txt").read_text(encoding="utf-8").split()
CONFIGURATIONS = json.loads((HERE / "transformers.json").read_text(encoding="utf-8"))


def _profile(spec: str) -> Profile:
    return profile_spec(find_model(spec), None, Settings())[0]


def _check(spec: str, profile: Profile) -> None:
    """Everything that must hold of a model."""
    source = find_model(spec)
    model, _ = built(source, "meta")
    assert profile.unknown == ()
    assert profile.total.params == sum(parameter.numel() for parameter in model.parameters())
    assert profile.total.params == sum(row.params for row in profile.rows)
    assert profile.total.flops == sum(row.flops for row in profile.rows)
    assert profile.total.madds == reference_madds(source)


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    import_timm()
    profile = _profile(f"timm/{name}")
    assert (profile.provenance.placement, profile.provenance.assumptions) in (("meta", ()), ("meta+values", ()))
    _check(f"timm/{name}", profile)


def test_every_timm_module_has_its_model() -> None:
    timm = import_timm()
    modules = {timm.model_entrypoint(name).__module__.rpartition(".")[2] for name in TIMM}
    known = {module for module in timm.list_modules() if timm.list_models(module=module)}
    assert modules == known or timm.__version__ != "1.0.31"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_transformers(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    import_torchvision()
    (tmp_path / "config.json").write_text(json.dumps(CONFIGURATIONS[name]), encoding="utf-8")
    profile = _profile(f"hf/{tmp_path}")
    assert profile.provenance.assumptions == ()
    _check(f"hf/{tmp_path}", profile)


def test_every_torchvision_model_is_in_the_published_table() -> None:
    """``tests/published`` profiles that table's models at full size, and finds nothing unknown in them."""
    torchvision = import_torchvision()
    with (HERE.parent / "published" / "torchvision.csv").open(encoding="utf-8") as file:
        published = {row["builder"] for row in csv.DictReader(file)}
    assert set(torchvision.models.list_models()) <= published or not torchvision.__version__.startswith("0.28")


FAMILIES = ["alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t"]
FAMILIES += ["mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnext50_32x4d"]
FAMILIES += [
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11_bn",
    "vit_b_16",
    "r3d_18",
    "mvit_v2_s",
]
FAMILIES += ["s3d", "raft_small", "lraspp_mobilenet_v3_large", "fcn_resnet50", "quantized_mobilenet_v2"]


@pytest.mark.parametrize("name", FAMILIES)
def test_torchvision(name: str) -> None:
    import_torchvision()
    _check(f"torchvision/{name}", _profile(f"torchvision/{name}"))
