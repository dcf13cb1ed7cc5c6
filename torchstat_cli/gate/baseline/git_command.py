"""Run git on the repository that a folder lies in, whatever repository the environment names."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from torchstat_cli.errors import BaselineError

_LOCAL = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""What git 2.39 lists as bound to one repository; the installed git may list more."""

_PATHSPECS = frozenset(f"GIT_{word}_PATHSPECS" for word in ("LITERAL", "GLOB", "NOGLOB", "ICASE"))
"""How git reads paths; commands that take plain paths fail with some of them."""

_SETTINGS = frozenset({"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"})
"""Settings such as safe.directory, from the user. Git keeps them as well where it enters another repository."""


def run_git(directory: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The outcome of a git command in ``directory``, with ``given`` on its standard input.

    Git exports variables such as GIT_DIR to hooks and to ``git rebase --exec``. They would put another folder in the
    place of the repository's top level, so they are left out.

    Raises:
        BaselineError: git is not installed.
    """
    return _run(("git", "-C", str(directory), *arguments), _LOCAL | _PATHSPECS | listed_by_git(), given)


def git_text(directory: Path, *arguments: str) -> str | None:
    """The output of a git command that worked, without its line break; None where it failed."""
    result = run_git(directory, *arguments)
    return os.fsdecode(result.stdout).removesuffix("\n") if result.returncode == 0 else None


def git_complaint(result: subprocess.CompletedProcess[bytes]) -> str:
    """What git said last about a command that failed."""
    lines = result.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"git ended with exit code {result.returncode}"


@cache
def listed_by_git() -> frozenset[str]:
    """The variables that the installed git calls bound to one repository, settings excepted."""
    result = _run(("git", "rev-parse", "--local-env-vars"), _LOCAL | _SETTINGS, b"")
    names = result.stdout.decode("ascii", "replace").split()
    return frozenset(name for name in names if name.startswith("GIT_")) - _SETTINGS


def _run(words: tuple[str, ...], without: frozenset[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in without}
    try:
        return subprocess.run(words, env=environment, input=given, capture_output=True, check=False)
    except (FileNotFoundError, PermissionError) as error:
        raise BaselineError("--against needs git, which is not installed", "leave --against out") from error
