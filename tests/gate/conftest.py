from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty git repository."""
    return Repository.create(tmp_path / "repository")
