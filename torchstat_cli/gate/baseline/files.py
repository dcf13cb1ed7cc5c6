"""Read and replace baseline files; a file that cannot be used is never touched."""

from __future__ import annotations

import os
from pathlib import Path

from torchstat_cli.errors import BaselineError, OutputError
from torchstat_cli.foreign_text import cleaned
from torchstat_cli.gate.baseline.json import Baseline, read_baseline, write_baseline
from torchstat_cli.gate.baseline.snapshot import Snapshot
from torchstat_cli.replacing import replace_file

_LONGEST_PATH = 200  # characters in a message


def load_baseline(path: Path) -> dict[str, Snapshot] | None:
    """The baseline in ``path``, or None where there is no such file.

    Raises:
        BaselineError: the file cannot be read or holds no baseline.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(
            f"cannot read the baseline {cleaned(str(path), _LONGEST_PATH)}: {error.strerror}",
            "name another: --baseline FILE",
        ) from error
    return parse_baseline(content, cleaned(str(path), _LONGEST_PATH))


def parse_baseline(content: bytes, where: str, remedy: str | None = None) -> dict[str, Snapshot]:
    """The baseline that ``content`` holds; ``where`` is what messages call it, ``remedy`` what they advise.

    Raises:
        BaselineError: the content holds no baseline.
    """
    try:
        return read_baseline(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BaselineError(
            f"the baseline {where} is no text, so nothing can be checked", remedy or _remedy(where)
        ) from error
    except ValueError as error:
        raise BaselineError(f"the baseline {where} {error}", remedy or _remedy(where, str(error))) from error


def _remedy(where: str, problem: str = "") -> str:
    if "newer" in problem:
        return "install the newer modelstat that wrote it"
    if "conflict" in problem:
        return f"take either side and measure again:  git checkout --ours {where} && modelstat check --update"
    if _is_device(where):
        return "it is no regular file: name another with --baseline FILE"
    return f"restore it:  git checkout -- {where}   or start anew:  rm {where} && modelstat check --update"


def _is_device(path: str | Path) -> bool:
    """Whether a path is a device, a pipe or the like: it may be read, but is no file to replace."""
    return os.path.exists(path) and not os.path.isfile(path)


def differs(path: Path, models: Baseline) -> bool:
    """Whether ``path`` holds other bytes than ``models`` take, or none.

    Raises:
        OSError: it cannot be read.
    """
    return not path.is_file() or path.read_bytes() != write_baseline(models).encode("utf-8")


def save_baseline(path: Path, models: Baseline) -> bool:
    """Replace ``path`` as a whole; at every moment it holds the old or the new bytes. False where nothing changed.

    Raises:
        OutputError: the file could not be written; the old one is still there.
    """
    if _is_device(path):
        where = cleaned(str(path), _LONGEST_PATH)
        raise OutputError(f"cannot write the baseline {where}: it is no regular file", "name another: --baseline FILE")
    content = write_baseline(models).encode("utf-8")
    # A link keeps pointing at the file that is replaced.
    target = path.resolve()
    try:
        if not differs(path, models):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, lambda file: file.write(content), durable=True)
    except OSError as error:
        raise OutputError(
            f"cannot write the baseline {cleaned(str(path), _LONGEST_PATH)}: {error.strerror}",
            "name another: --baseline FILE",
        ) from error
    return True
