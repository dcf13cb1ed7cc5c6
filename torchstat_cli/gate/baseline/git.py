"""Read a file as of the merge base with another git ref; nothing is checked out."""

from __future__ import annotations

import os
import re
from pathlib import Path

from torchstat_cli.errors import BaselineError
from torchstat_cli.gate.baseline.git_command import git_complaint, git_text, run_git

_BLOB = re.compile(rb"[0-9a-f]+ blob ([0-9]+)")
_ABSENT = re.compile(rb"[0-9a-f]+:.* missing|(dangling|notdir) [0-9]+")


def read_at_merge_base(path: Path, ref: str) -> tuple[bytes | None, str]:
    """The bytes of ``path`` where ``ref`` and HEAD forked, None where it was absent, and that commit's short name.

    The merge base and not the tip: what others merged meanwhile is not this branch's growth. The repository is the one
    that ``path`` lies in, also where the environment names another, as in hooks.

    Raises:
        BaselineError: no git, no repository, an unknown ref, histories that share no commit here, or objects that
            cannot be read.
    """
    path = _written(path)
    directory = _existing(path.parent)
    top = _top_level(directory, ref)
    _require_ref(directory, ref)
    base = git_text(directory, "merge-base", ref, "HEAD")
    if base is None:
        raise BaselineError(f"{ref} and HEAD share no commit in this clone", _fetch_hint(directory, ref))
    contents = (_content(directory, base, name) for name in _names(path, top))
    return next((content for content in contents if content is not None), None), base[:9]


def _written(path: Path) -> Path:
    """``path`` as it is written, made absolute; its links followed where ``..`` means something else with them."""
    absolute = Path(os.path.abspath(path))
    return absolute if absolute.resolve() == path.resolve() else path.resolve()


def _top_level(directory: Path, ref: str) -> Path:
    result = run_git(directory, "rev-parse", "--show-toplevel")
    if result.returncode:
        ignored = "GIT_DIR of the environment is not used; " if "GIT_DIR" in os.environ else ""
        raise BaselineError(
            f"--against {ref} needs git, and {directory} is in no git repository that can be read",
            f"git says: {git_complaint(result)}; {ignored}leave --against out where there is none",
        )
    return Path(os.fsdecode(result.stdout).removesuffix("\n")).resolve()


def _names(path: Path, top: Path) -> list[str]:
    """How the tree of a commit may call ``path``: as it is written, and with links followed.

    The first is what a checkout of that commit would read. The second counts where the link is younger than the commit.
    """
    written = next((path.relative_to(folder) for folder in path.parents if folder.resolve() == top), None)
    target = path.resolve()
    followed = target.relative_to(top) if target.is_relative_to(top) else None
    names = list(dict.fromkeys(name.as_posix() for name in (written, followed) if name is not None))
    if not names:
        raise BaselineError(f"the baseline {path} lies outside the repository {top}", "keep it in the repository")
    return names


def _content(directory: Path, base: str, name: str) -> bytes | None:
    """The bytes of the file ``name`` in the tree of ``base``, links of that tree followed; None where it is absent."""
    if "\n" in name:
        raise BaselineError(f"git cannot be asked for {name!r}, which has a line break in it", "rename the baseline")
    asked = os.fsencode(f"{base}:{name}\n")
    result = run_git(directory, "cat-file", "--batch", "--follow-symlinks", given=asked)
    header, _, rest = result.stdout.partition(b"\n")
    if found := _BLOB.fullmatch(header):
        return rest[: int(found[1])]
    if not _ABSENT.fullmatch(header):
        reason = git_complaint(result) if result.returncode else "it is no file inside the repository there"
        raise BaselineError(f"cannot read {name} at {base[:9]}: {reason}", "keep the baseline as a plain file")
    # A tree that is damaged or was never fetched looks absent to cat-file; ls-tree fails on it.
    listed = run_git(directory, "ls-tree", "--full-tree", base, "--", f":(literal){name}")
    if listed.returncode:
        raise BaselineError(
            f"cannot read {name} at {base[:9]}: {git_complaint(listed)}", "see what is missing: git fsck"
        )
    return None


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
