"""Read a file as of the merge base with another git ref; nothing is checked out."""

from __future__ import annotations

import os
from pathlib import Path

from torchstat_cli.errors import BaselineError
from torchstat_cli.gate.git_command import git_complaint, git_text, run_git


def read_at_merge_base(path: Path, ref: str) -> tuple[bytes | None, str]:
    """The bytes of ``path`` where ``ref`` and HEAD forked, None where it was absent, and that commit's short name.

    The merge base and not the tip: what others merged meanwhile is not this branch's growth. The repository is the one
    that ``path`` lies in, also where the environment names another, as in hooks.

    Raises:
        BaselineError: no git, no repository, an unknown ref, or histories that share no commit here.
    """
    directory = _existing(path.resolve().parent)
    top = _top_level(directory, ref)
    _require_ref(directory, ref)
    base = git_text(directory, "merge-base", ref, "HEAD")
    if base is None:
        raise BaselineError(f"{ref} and HEAD share no commit in this clone", _fetch_hint(directory, ref))
    try:
        name = path.resolve().relative_to(top).as_posix()
    except ValueError as error:
        raise BaselineError(
            f"the baseline {path} lies outside the repository {top}", "keep it in the repository"
        ) from error
    if not run_git(directory, "ls-tree", "--full-tree", base, "--", name).stdout:
        return None, base[:9]
    return run_git(directory, "cat-file", "blob", f"{base}:{name}").stdout, base[:9]


def _top_level(directory: Path, ref: str) -> Path:
    result = run_git(directory, "rev-parse", "--show-toplevel")
    if result.returncode:
        ignored = "GIT_DIR of the environment is not used; " if "GIT_DIR" in os.environ else ""
        raise BaselineError(
            f"--against {ref} needs git, and {directory} is in no git repository that can be read",
            f"git says: {git_complaint(result)}; {ignored}leave --against out where there is none",
        )
    return Path(os.fsdecode(result.stdout).removesuffix("\n")).resolve()


def _require_ref(directory: Path, ref: str) -> None:
    # A ref that starts with a dash would be read as an option.
    known = not ref.startswith("-") and git_text(directory, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if not known:
        raise BaselineError(f"git knows no commit {ref!r} here", _fetch_hint(directory, ref))


def _fetch_hint(directory: Path, ref: str) -> str:
    if git_text(directory, "rev-parse", "--is-shallow-repository") == "true":
        return "this clone is shallow; in actions/checkout set fetch-depth: 0, elsewhere run: git fetch --unshallow"
    remote, slash, branch = ref.partition("/")
    return f"run: git fetch {remote} {branch}" if slash else "see: git branch --all"


def _existing(directory: Path) -> Path:
    return directory if directory.is_dir() else _existing(directory.parent)
