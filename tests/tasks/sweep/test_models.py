from __future__ import annotations

from pathlib import Path

import pytest

from torchstat_cli.errors import InputError, SpecError, UsageError
from torchstat_cli.tasks.sweep.models import expand, is_pattern, listed_models


def names(prefix: str) -> list[str]:
    assert prefix == "timm"
    return ["resnet18", "vit_small", "vit_tiny"]


def test_patterns_stand_for_names_and_each_model_comes_once() -> None:
    assert expand(["timm/vit_tiny", "timm/vit_*", "a.b:c"], names) == ["timm/vit_tiny", "timm/vit_small", "a.b:c"]


def test_configs_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.json", "a.json"):
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert expand(["hf/*.json"], names) == ["hf/a.json", "hf/b.json"]


@pytest.mark.parametrize("spec", ["timm/xyz*", "vit_*", "hf/nothing/*"])
def test_patterns_that_match_nothing(spec: str) -> None:
    with pytest.raises(SpecError):
        expand([spec], names)


def test_nothing_at_all() -> None:
    with pytest.raises(UsageError):
        expand([], names)


def test_a_factory_is_no_pattern() -> None:
    assert not is_pattern("models[1].py:build")
    assert is_pattern("timm/vit_[st]*")


def test_a_list_of_specs(tmp_path: Path) -> None:
    path = tmp_path / "models.txt"
    path.write_text("# vision\nresnet18\n\n  vit_tiny  # small\n")
    assert listed_models(str(path)) == ("resnet18", "vit_tiny")


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe\x00"])
def test_lists_of_nothing(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "models.txt"
    path.write_bytes(content)
    with pytest.raises(InputError):
        listed_models(str(path))
    with pytest.raises(InputError):
        listed_models(str(tmp_path / "absent"))
