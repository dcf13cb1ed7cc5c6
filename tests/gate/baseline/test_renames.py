from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.gate.profiles import linear, profile
from torchstat_cli.gate.baseline.renames import name_in, same_model, twin
from torchstat_cli.gate.baseline.snapshot import snapshot_of

SMALL, LARGE = snapshot_of(profile(linear("head", 4, 3))), snapshot_of(profile(linear("head", 4, 5)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("resnet18", "torchvision/resnet18"),
        ("torchvision/resnet18", "torchvision.models:resnet18"),
        ("torchvision.models.resnet:resnet18", "resnet18"),
        ("vit_tiny", "sample_models/vit_tiny"),
        ("sample_models.vit:vit_tiny", "sample_models/vit_tiny"),
        ("timm/resnet18", "timm.models.resnet:resnet18"),
        ("models.py:tiny", "./models.py:tiny"),
        ("models.py:tiny", "models:tiny"),
        ("package/models.py:tiny", "package.models:tiny"),
        ("package/../models.py:tiny", "models.py:tiny"),
        ("/project/models.py:tiny", "models.py:tiny"),
        ("hf/llama", "hf/./llama/config.json"),
        ("hf/llama/", "hf/llama"),
        (" resnet18", "resnet18"),
    ],
)
def test_spellings_of_one_model(one: str, other: str) -> None:
    assert same_model(one, other, "/project")
    assert same_model(other, one, "/project")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("resnet18", "resnet34"),
        ("torchvision/resnet18", "timm/resnet18"),
        ("models.py:tiny", "models.py:large"),
        ("models.py:tiny", "other/models.py:tiny"),
        ("models:tiny", "tiny"),
        ("hf/llama", "llama"),
        ("hf/llama", "hf/other/llama"),
        ("timm/resnet18.a1_in1k", "timm/resnet18"),
        ("sample_models/vit_tiny", "sample_models.py:vit_tiny"),
    ],
)
def test_other_models(one: str, other: str) -> None:
    assert not same_model(one, other, "/project")
    assert not same_model(other, one, "/project")


def test_the_name_of_an_entry() -> None:
    old = {"resnet18": replace(SMALL, spec="resnet18"), "seg": replace(SMALL, spec="models.py:tiny")}
    assert name_in(old, "torchvision/resnet18", ("torchvision/resnet18",), ()) == "resnet18"
    assert name_in(old, "resnet18", ("resnet18",), ()) == "resnet18"
    assert name_in(old, "resnet34", ("resnet34",), ()) == "resnet34"
    # What a configuration calls seg is not known by its spec, and an entry of a configured model is that model's.
    assert name_in(old, "./models.py:tiny", ("./models.py:tiny",), ()) == "./models.py:tiny"
    assert name_in(old, "torchvision/resnet18", ("torchvision/resnet18",), ("resnet18",)) == "torchvision/resnet18"
    # A name that was chosen has one spelling.
    assert name_in(old, "mine", ("torchvision/resnet18",), ()) == "mine"


def test_the_name_by_what_a_spec_resolves_to() -> None:
    old = {"torchvision.models:resnet18": replace(SMALL, spec="torchvision.models:resnet18")}
    specs = ("resnet18", "torchvision.models:resnet18")
    assert name_in(old, "resnet18", specs, ()) == "torchvision.models:resnet18"
    # The same bare name in another library is another model.
    assert name_in({"timm/resnet18": replace(SMALL, spec="timm/resnet18")}, "resnet18", specs, ()) == "resnet18"


def test_absolute_paths_start_somewhere(tmp_path: Path) -> None:
    assert same_model(f"{tmp_path}/models.py:tiny", "models.py:tiny", str(tmp_path))
    assert not same_model(f"{tmp_path}/models.py:tiny", "models.py:tiny", str(tmp_path.parent))


def test_a_twin_has_equal_numbers_measured_alike() -> None:
    assert twin(SMALL, {"old": replace(SMALL, spec="other")}) == "old"
    assert twin(SMALL, {"old": LARGE}) is None
    assert twin(SMALL, {}) is None
    assert twin(SMALL, {"old": replace(SMALL, conditions=replace(SMALL.conditions, rules=9))}) is None
    assert twin(SMALL, {"a": SMALL, "b": SMALL}) is None  # which of the two?
