from __future__ import annotations

from pathlib import Path

from benchmarks.gate import MODELS, configuration
from torchstat_cli.gate.config_file import load_config


def test_the_measured_project(tmp_path: Path) -> None:
    (tmp_path / "modelstat.toml").write_text(configuration())
    config = load_config(tmp_path / "modelstat.toml")
    assert len(config.models) == MODELS == 50
    assert {model.spec for model in config.models} == {"sample_models.resnet:resnet18"}
