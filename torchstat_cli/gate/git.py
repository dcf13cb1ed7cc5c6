"""Read a file as of the merge base with another git ref; nothing is checked out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from torchstat_cli.errors import BaselineError


def read_at_merge_base(path: Path, ref: str) -> tuple[bytes | None, str]:
    """The bytes of ``path`` where ``ref`` and HEAD forked, None where it was absent, and that commit's short name.

    The merge base and not the tip: what others merged meanwhile is not this branch's growth.

    Raises:
        BaselineError: no git, no repository, an unknown ref, or histories that share no commit here.
    """
    directory = _existing(path.resolve().parent)
    top = _text(directory, "rev-parse", "--show-toplevel")
    if top is None:
        raise BaselineError(
            f"--against {ref} needs git, and {directory} is in no git repository", "leave --against out"
        )
    _require_ref(directory, ref)
    base = _text(directory, "merge-base", ref, "HEAD")
    if base is None:
        raise BaselineError(f"{ref} and HEAD share no commit in this clone", _fetch_hint(directory, ref))
    try:
        name = path.resolve().relative_to(Path(top).resolve()).as_posix()
    except ValueError as error:
        raise BaselineError(
            f"the baseline {path} lies outside the repository {top}", "keep it in the repository"
        ) from error
    if not _git(directory, "ls-tree", "--full-tree", base, "--", name).stdout:
        return None, base[:9]
    return _git(directory, "cat-file", "blob", f"{base}:{name}").stdout, base[:9]


def _require_ref(directory: Path, ref: str) -> None:
    # A ref that starts with a dash would be read as an option.
    known = not ref.startswith("-") and _text(directory, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if not known:
        raise BaselineError(f"git knows no commit {ref!r} here", _fetch_hint(directory, ref))


def _fetch_hint(directory: Path, ref: str) -> str:
    if _text(directory, "rev-parse", "--is-shallow-repository") == "true":
        return "this clone is shallow; in actions/checkout set fetch-depth: 0, elsewhere run: git fetch --unshallow"
    remote, slash, branch = ref.partition("/")
    return f"run: git fetch {remote} {branch}" if slash else "see: git branch --all"


def _existing(directory: Path) -> Path:
    return directory if directory.is_dir() else _existing(directory.parent)


def _text(directory: Path, *arguments: str) -> str | None:
    """The output of a git command that worked, without its newline; None where it failed."""
    result = _git(directory, *arguments)
    return result.stdout.decode("utf-8", "surrogateescape").strip() if result.returncode == 0 else None


def _git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise BaselineError("--against needs git, which is not installed", "leave --against out") from error
