from __future__ import annotations

from pathlib import Path

import pytest

from torchstat_cli.errors import ConfigError
from torchstat_cli.gate.config_file import find_config, load_config

TABLE = '[tool.modelstat.models.a]\nspec = "x:a"\n'
STANDALONE = '[models.b]\nspec = "x:b"\nlimits = { flops = "5%" }\n'


def names(config_at: Path) -> list[str]:
    return [model.name for model in find_config(config_at).models]


def test_from_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    below = tmp_path / "package" / "models"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text("[tool.other]\n")  # somebody else's
    assert names(below) == ["a"]
    assert find_config(below).path == tmp_path / "pyproject.toml"


def test_the_standalone_file_wins_beside_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    (tmp_path / "modelstat.toml").write_text('[models.b]\nspec = "x:b"\n')
    config = find_config(tmp_path)
    assert [model.name for model in config.models] == ["b"]
    assert (config.section, config.models[0].origin) == ("modelstat.toml", "[models.b]")


def test_errors_of_the_standalone_file_name_its_tables(tmp_path: Path) -> None:
    (tmp_path / "modelstat.toml").write_text(STANDALONE.replace("limits", "limts"))
    with pytest.raises(ConfigError, match=r"\[models\.b\] has the unknown key 'limts'"):
        find_config(tmp_path)


def test_the_search_ends_at_the_repository(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(TABLE)
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    assert names(repository) == []
    assert find_config(repository).path is None


@pytest.mark.parametrize("content", [b"[tool.modelstat\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        find_config(tmp_path)


def test_a_named_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('baseline = "b.json"\n')
    assert load_config(tmp_path / "other.toml").baseline == tmp_path / "b.json"
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    with pytest.raises(ConfigError, match=r"has no \[tool.modelstat\] table"):
        load_config(tmp_path / "pyproject.toml")
