"""A scratch git repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


_INHERITED = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


class Repository:
    """A folder, and git in it; no setting of the machine counts, nor a hook that runs the tests."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root

    @classmethod
    def create(cls, root: Path) -> Repository:
        """An empty repository whose branch is ``main``."""
        repository = cls(root)
        repository.git("init", "--quiet", "--initial-branch", "main")
        return repository

    def git(self, *arguments: str) -> str:
        """What a git command that must work prints."""
        return self.run("git", *arguments)

    def run(self, *words: str, **environment: str) -> str:
        """The standard output of a command that must work."""
        result = subprocess.run(
            words,
            cwd=self.root,
            env={**_INHERITED, **_IDENTITY, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{words}: {result.stderr}"
        return result.stdout.strip()

    def write(self, name: str, content: str) -> Path:
        """A file with ``content``."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def commit(self, name: str, content: str) -> Path:
        """The same, committed."""
        path = self.write(name, content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"change {name}")
        return path
