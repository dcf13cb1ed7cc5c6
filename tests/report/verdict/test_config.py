from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.display import WIDE_NAMES, twin
from torchstat_cli.gate.config import default_config, read_config
from torchstat_cli.report.verdict.config import render_config


def test_every_value_and_where_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = {
        "baseline": "baselines/models.json",
        "limits": {"params": "+2%"},
        "timeout": 90,
        "models": {
            "vit": {"spec": "m:vit", "limits": {"flops": ["+1%", "3 G"]}, "modules": {"head": {"params": "1 k"}}}
        },
    }
    config = read_config(table, tmp_path / "pyproject.toml", "[tool.modelstat]").with_limits(("memory=64 MiB",))
    lines = [line.split("   ") for line in render_config(config, config.models).splitlines()]
    words = [[word.strip() for word in line if word.strip()] for line in lines]
    table_name = "[tool.modelstat.models.vit]"
    assert words[1:] == [
        ["baseline", "baselines/models.json", "[tool.modelstat]"],
        ["timeout", "90 s", "[tool.modelstat]"],
        [],
        ["vit"],
        ["spec", "m:vit", table_name],
        ["mode", "eval", table_name],
        ["limit params", "+2%", "[tool.modelstat]"],
        ["limit flops", "+1%, 3 G", table_name],
        ["limit memory", "64 MiB", "--limit"],
        ["limit head params", "1 k", f"{table_name} modules"],
    ]
    assert words[0][0] == "file"


def test_defaults(tmp_path: Path) -> None:
    config = default_config(tmp_path)
    text = render_config(config, config.select(("m:vit",)))
    assert "none" in text.splitlines()[0]
    assert [line.split()[-1] for line in text.splitlines() if "limit" in line] == ["default", "default"]


def test_wide_names_keep_columns_aligned(tmp_path: Path) -> None:
    def shown(spell: Callable[[str], str]) -> str:
        models = {
            spell(name): {"spec": f"m:{spell(name)}", "modules": {spell(f"{name}*"): {"params": "1 k"}}}
            for name in WIDE_NAMES
        }
        config = read_config({"models": models}, tmp_path / "pyproject.toml", "[tool.modelstat]")
        return render_config(config, config.models)

    assert twin(shown(str)) == shown(twin)


def test_a_value_moves_no_cursor(tmp_path: Path) -> None:
    models = {"m": {"spec": "m:f", "message": "one\ntwo\x1b[2J"}}
    config = read_config({"models": models}, tmp_path / "pyproject.toml", "[tool.modelstat]")
    (message,) = [line for line in render_config(config, config.models).splitlines() if "message" in line]
    assert message.split() == ["message", r"one\ntwo\x1b[2J", "[tool.modelstat.models.m]"]
