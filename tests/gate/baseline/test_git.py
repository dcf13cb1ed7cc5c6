from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.gate.repository import Repository
from torchstat_cli.errors import BaselineError
from torchstat_cli.gate.baseline.git import read_at_merge_base
from torchstat_cli.gate.baseline.git_command import listed_by_git

ROOT = Path(__file__).parents[3]


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


@pytest.fixture
def nested(repository: Repository) -> Path:
    """A committed baseline below the top level, changed since."""
    file = repository.commit("sub/baseline.json", "committed")
    file.write_text("changed")
    return file


MISLEADING = {
    "another repository": {"GIT_DIR": "{stranger}/.git"},
    "a broken one": {"GIT_DIR": "/nonexistent"},
    "as hooks in linked worktrees": {"GIT_DIR": "{root}/.git", "GIT_INDEX_FILE": "{root}/.git/index", "GIT_PREFIX": ""},
    "another top level": {"GIT_DIR": "{root}/.git", "GIT_WORK_TREE": "{stranger}"},
    "a top level alone": {"GIT_WORK_TREE": "{stranger}"},
    "no index": {"GIT_INDEX_FILE": "{stranger}/none"},
    "other objects": {"GIT_OBJECT_DIRECTORY": "{stranger}/.git/objects"},
    "other refs": {"GIT_COMMON_DIR": "{stranger}/.git"},
    "a shallow file": {"GIT_SHALLOW_FILE": "{stranger}/none"},
    "a namespace": {"GIT_NAMESPACE": "other"},
    "globs": {"GIT_GLOB_PATHSPECS": "1"},
    "any case": {"GIT_ICASE_PATHSPECS": "1"},
    "a top level by configuration": {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.worktree",
        "GIT_CONFIG_VALUE_0": "{stranger}",
    },
    "a bare repository by configuration": {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "true",
    },
}


@pytest.mark.parametrize("variables", MISLEADING.values(), ids=MISLEADING)
def test_the_environment_names_no_repository(
    repository: Repository, nested: Path, tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Repository.create(tmp_path / "stranger")
    stranger.commit("other.txt", "x")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(root=repository.root, stranger=stranger.root))
    monkeypatch.chdir(nested.parent)
    assert read_at_merge_base(Path("baseline.json"), "HEAD") == (b"committed", repository.git("rev-parse", "HEAD")[:9])


def test_settings_of_the_users_command_line_count(
    repository: Repository, nested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    with pytest.raises(BaselineError, match="in no git repository that can be read") as caught:
        read_at_merge_base(nested, "HEAD")
    assert "git says: " in str(caught.value.hint)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    assert read_at_merge_base(nested, "HEAD")[0] == b"committed"


def test_where_the_search_for_a_repository_ends_is_the_users(nested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(nested.parents[1]))
    with pytest.raises(BaselineError, match="in no git repository"):
        read_at_merge_base(nested, "HEAD")


def test_a_variable_that_only_the_installed_git_knows(
    nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git = shutil.which("git")
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\n[ "$1" = rev-parse ] && echo GIT_FUTURE_DIR && exit\n'
        f'[ -z "$GIT_FUTURE_DIR" ] || exit 9\nexec "{git}" "$@"\n'
    )
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_FUTURE_DIR", "elsewhere")
    listed_by_git.cache_clear()
    try:
        assert read_at_merge_base(nested, "HEAD")[0] == b"committed"
    finally:
        listed_by_git.cache_clear()


def test_git_dir_and_no_repository_around(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("baseline.json", "x")
    monkeypatch.setenv("GIT_DIR", str(repository.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    with pytest.raises(BaselineError, match="in no git repository") as caught:
        read_at_merge_base(tmp_path / "baseline.json", "HEAD")
    assert "GIT_DIR of the environment is not used" in str(caught.value.hint)


class TestLinks:
    """A name means at the fork what it means in a checkout of the fork."""

    def test_a_file_that_became_a_link(self, repository: Repository) -> None:
        file = repository.commit("baseline.json", "at the fork")
        repository.git("switch", "--quiet", "--create", "branch")
        file.rename(repository.root / "moved.json")
        file.symlink_to("moved.json")
        repository.commit("other.txt", "x")
        assert read_at_merge_base(file, "main")[0] == b"at the fork"

    def test_a_link_that_became_a_file(self, repository: Repository) -> None:
        repository.write("real.json", "at the fork")
        file = repository.root / "baseline.json"
        file.symlink_to("real.json")
        repository.commit("other.txt", "x")
        repository.git("switch", "--quiet", "--create", "branch")
        file.unlink()
        repository.commit("baseline.json", "now")
        assert read_at_merge_base(file, "main")[0] == b"at the fork"

    def test_a_link_that_is_new(self, repository: Repository) -> None:
        real = repository.commit("real.json", "at the fork")
        (repository.root / "baseline.json").symlink_to(real)
        assert read_at_merge_base(repository.root / "baseline.json", "main")[0] == b"at the fork"

    def test_a_folder_that_is_a_link(self, repository: Repository) -> None:
        repository.write("numbers/baseline.json", "at the fork")
        (repository.root / "short").symlink_to("numbers")
        repository.commit("other.txt", "x")
        assert read_at_merge_base(repository.root / "short" / "baseline.json", "main")[0] == b"at the fork"

    def test_a_folder_that_became_a_link(self, repository: Repository) -> None:
        file = repository.commit("numbers/baseline.json", "at the fork")
        repository.git("switch", "--quiet", "--create", "branch")
        file.parent.rename(repository.root / "moved")
        (repository.root / "numbers").symlink_to("moved")
        repository.commit("other.txt", "x")
        assert read_at_merge_base(file, "main")[0] == b"at the fork"

    def test_a_repository_behind_a_link(self, repository: Repository, nested: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(repository.root)
        assert read_at_merge_base(tmp_path / "link" / "sub" / "baseline.json", "HEAD")[0] == b"committed"
        assert read_at_merge_base(tmp_path / "link" / "sub" / ".." / "sub" / "baseline.json", "HEAD")[0] == b"committed"

    def test_parent_folders_after_a_link(self, repository: Repository, tmp_path: Path) -> None:
        repository.write("a/b/other.txt", "x")
        file = repository.commit("a/baseline.json", "committed")
        (repository.root / "link").symlink_to(repository.root / "a" / "b")
        assert read_at_merge_base(repository.root / "link" / ".." / "baseline.json", "HEAD")[0] == b"committed"
        assert file.exists()

    def test_a_link_out_of_the_repository(self, repository: Repository, tmp_path: Path) -> None:
        outside = tmp_path / "outside.json"
        outside.write_text("x")
        (repository.root / "baseline.json").symlink_to(outside)
        repository.commit("other.txt", "x")
        with pytest.raises(BaselineError, match="no file inside the repository"):
            read_at_merge_base(repository.root / "baseline.json", "HEAD")

    def test_a_folder_outside_the_repository(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit("other.txt", "x")
        (tmp_path / "elsewhere").mkdir()
        (repository.root / "numbers").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BaselineError, match="in no git repository"):
            read_at_merge_base(repository.root / "numbers" / "baseline.json", "HEAD")


@pytest.mark.parametrize("name", [":(icase)x.json", "a b?.json", "*.json", "[x].json", "ü.json", "-x.json", "x"])
def test_names_that_git_could_read_as_something_else(repository: Repository, name: str) -> None:
    repository.commit("x.json", "the wrong one")
    file = repository.commit(name, "committed")
    file.unlink()
    assert read_at_merge_base(file, "HEAD")[0] == b"committed"
    assert read_at_merge_base(file.with_name(f"{name}.none"), "HEAD")[0] is None


def test_what_cannot_be_read_is_not_absent(repository: Repository, nested: Path) -> None:
    tree = repository.git("rev-parse", "HEAD:sub")
    (repository.root / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(BaselineError, match=r"cannot read sub/baseline\.json at"):
        read_at_merge_base(nested, "HEAD")


def test_a_partial_clone_without_its_remote(repository: Repository, nested: Path, tmp_path: Path) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    clone = Repository(tmp_path / "clone")
    url = repository.root.as_uri()
    clone.run("git", "clone", "--quiet", "--filter=tree:0", "--no-checkout", url, ".")
    clone.git("remote", "set-url", "origin", "file:///nonexistent")
    with pytest.raises(BaselineError, match=r"cannot read sub/baseline\.json at"):
        read_at_merge_base(clone.root / "sub" / "baseline.json", "HEAD")


def test_a_folder_of_that_name(repository: Repository) -> None:
    file = repository.commit("baseline.json/file", "x")
    with pytest.raises(BaselineError, match="no file inside the repository"):
        read_at_merge_base(file.parent, "HEAD")


HOOK = """\
import pathlib
from torchstat_cli.gate.baseline.git import read_at_merge_base
content, commit = read_at_merge_base(pathlib.Path("baseline.json"), "HEAD")
pathlib.Path({found!r}).write_text(repr(content))
"""


class TestHooks:
    """A real pre-commit hook, for which git sets its variables."""

    @staticmethod
    def found_by_hook(checkout: Repository, tmp_path: Path) -> str:
        found, program = tmp_path / "found", tmp_path / "program.py"
        program.write_text(HOOK.format(found=str(found)))
        hook = tmp_path / "hooks" / "pre-commit"
        hook.parent.mkdir()
        hook.write_text(f'#!/bin/sh\ncd sub && PYTHONPATH="{ROOT}" exec "{sys.executable}" "{program}"\n')
        hook.chmod(0o755)
        (checkout.root / "sub" / "baseline.json").write_text("changed")
        checkout.git("-c", f"core.hooksPath={hook.parent}", "commit", "--quiet", "--all", "--message", "two")
        return found.read_text()

    def test_in_the_main_worktree(self, repository: Repository, nested: Path, tmp_path: Path) -> None:
        assert self.found_by_hook(repository, tmp_path) == "b'committed'"

    def test_in_a_linked_worktree(self, repository: Repository, nested: Path, tmp_path: Path) -> None:
        repository.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
        assert self.found_by_hook(Repository(tmp_path / "linked"), tmp_path) == "b'committed'"

    def test_in_a_submodule(self, repository: Repository, nested: Path, tmp_path: Path) -> None:
        outer = Repository.create(tmp_path / "outer")
        outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository.root), "inner")
        assert self.found_by_hook(Repository(outer.root / "inner"), tmp_path) == "b'committed'"
