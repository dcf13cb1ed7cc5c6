"""Which torch is installed, found without importing it: none, or one that is too old, is refused in one sentence."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

from torchstat_cli.errors import UnsupportedTorchError

OLDEST = "2.9"  # the floor of pyproject.toml
TESTED = "2.13"  # the version of constraints.txt

_WRITTEN = re.compile(r"^__version__\s*=\s*['\"]([^'\"+]+)", re.MULTILINE)


def require_torch() -> None:
    """Go on only beside a torch that modelstat works with.

    Raises:
        UnsupportedTorchError: torch is missing, or older than the floor.
    """
    version = _installed()
    if version is None:
        raise UnsupportedTorchError("torch is not installed", f"pip install 'torch>={OLDEST}'")
    if () < _numbers(version) < _numbers(OLDEST):
        raise UnsupportedTorchError(
            f"torch {version} is too old: modelstat needs torch {OLDEST} or newer", f"pip install 'torch>={OLDEST}'"
        )


def _installed() -> str | None:
    """The version of torch, None without torch, and the floor where it does not say its version."""
    loaded = sys.modules.get("torch")
    if loaded is not None:
        return str(getattr(loaded, "__version__", OLDEST)).partition("+")[0]
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        written = _WRITTEN.search(Path(spec.origin).with_name("version.py").read_text(encoding="utf-8"))
    except OSError:
        written = None
    return written[1] if written else OLDEST


def _numbers(version: str) -> tuple[int, ...]:
    """``2.14.1`` as (2, 14); nothing for a text without numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
