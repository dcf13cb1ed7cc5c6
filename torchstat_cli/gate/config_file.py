"""Find and read the configuration file: ``modelstat.toml``, or ``[tool.modelstat]`` in ``pyproject.toml``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchstat_cli.errors import ConfigError
from torchstat_cli.gate.config import GateConfig, default_config, read_config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STANDALONE = "modelstat.toml"
SHARED = "pyproject.toml"
SECTION = "[tool.modelstat]"


def find_config(start: Path) -> GateConfig:
    """The nearest configuration, from ``start`` upwards; ``modelstat.toml`` wins over ``pyproject.toml`` beside it.

    The search ends at the root of the git repository, so that no stranger's file above it counts.

    Raises:
        ConfigError: a file that is no TOML, or whose table makes no sense.
    """
    for directory in _upwards(start.resolve()):
        standalone, shared = directory / STANDALONE, directory / SHARED
        if standalone.is_file():
            return load_config(standalone)
        if shared.is_file() and _tool_table(shared) is not None:
            return load_config(shared)
    return default_config(start)


def load_config(path: Path) -> GateConfig:
    """The configuration in one file; a ``pyproject.toml`` is read at ``[tool.modelstat]``, any other from its top.

    Raises:
        ConfigError: a file that is missing, is no TOML, or whose table makes no sense.
    """
    path = path.resolve()
    if path.name != SHARED:
        return read_config(_read_toml(path), path, path.name)
    table = _tool_table(path)
    if table is None:
        raise ConfigError(f"{path.name} has no {SECTION} table", f"add {SECTION} to {path}")
    return read_config(table, path, SECTION)


def _upwards(start: Path) -> Iterator[Path]:
    for directory in (start, *start.parents):
        yield directory
        if (directory / ".git").exists():
            return


def _tool_table(path: Path) -> Any:
    tool = _read_toml(path).get("tool")
    return tool.get("modelstat") if isinstance(tool, dict) else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", "name another with --config FILE") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", "mend the line it names") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply to be read", "flatten its tables and lists") from error
    except ValueError as error:  # Python reads no integer of more than 4300 digits
        raise ConfigError(f"{path} holds a number of too many digits", "write it shorter, or as text") from error
