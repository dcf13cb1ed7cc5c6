from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate.repository import Repository
from torchstat_cli.errors import BaselineError
from torchstat_cli.gate.git import read_at_merge_base


def test_the_fork_point_counts_not_the_tip(repository: Repository) -> None:
    file = repository.commit("baseline.json", "at the fork")
    repository.git("switch", "-c", "branch")
    repository.commit("other.txt", "work")
    repository.git("switch", "main")
    repository.commit("baseline.json", "main moved on")
    repository.git("switch", "branch")
    content, commit = read_at_merge_base(file, "main")
    assert content == b"at the fork"
    assert commit == repository.git("rev-parse", "branch~1")[:9]


def test_the_working_tree_is_not_read(repository: Repository) -> None:
    file = repository.commit("sub/folder/baseline.json", "committed")
    file.write_text("changed")
    assert read_at_merge_base(file, "HEAD")[0] == b"committed"
    assert file.read_text() == "changed"


def test_a_file_that_was_absent(repository: Repository) -> None:
    repository.commit("other.txt", "x")
    assert read_at_merge_base(repository.root / "none" / "baseline.json", "main")[0] is None


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("origin/nope", "git fetch origin nope"),
        ("nope", "git branch --all"),
        ("--output=x", "git branch"),
        ("", "git branch"),
    ],
)
def test_an_unknown_ref(repository: Repository, ref: str, hint: str) -> None:
    file = repository.commit("baseline.json", "x")
    with pytest.raises(BaselineError, match="git knows no commit") as caught:
        read_at_merge_base(file, ref)
    assert hint in str(caught.value.hint)


def test_unrelated_histories(repository: Repository) -> None:
    file = repository.commit("baseline.json", "x")
    repository.git("switch", "--orphan", "stranger")
    repository.commit("other.txt", "y")
    with pytest.raises(BaselineError, match="share no commit"):
        read_at_merge_base(file, "main")


def test_a_shallow_clone(repository: Repository, tmp_path: Path) -> None:
    repository.commit("baseline.json", "one")
    repository.git("switch", "-c", "branch")
    repository.commit("baseline.json", "two")
    clone = Repository(tmp_path / "clone")
    url = repository.root.as_uri()
    clone.run("git", "clone", "--quiet", "--depth", "1", "--no-single-branch", url, ".")
    with pytest.raises(BaselineError) as caught:
        read_at_merge_base(clone.root / "baseline.json", "origin/main")
    assert "fetch-depth: 0" in str(caught.value.hint)


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="in no git repository"):
        read_at_merge_base(tmp_path / "baseline.json", "main")


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BaselineError, match="not installed"):
        read_at_merge_base(tmp_path / "baseline.json", "main")
