"""One sentence about an exception in foreign code: what it was and where, and names that were perhaps meant."""

from __future__ import annotations

import difflib
import os
import traceback
from collections.abc import Iterable
from pathlib import Path

import torch

from torchstat_cli.foreign_text import class_of, message_of, one_line

_PACKAGE = str(Path(__file__).resolve().parents[1])
_TORCH = str(Path(torch.__file__).resolve().parent)


def describe(error: BaseException) -> str:
    """The exception on one line with the line of the user's code: ``ValueError: bad depth (models.py:12)``."""
    text = message_of(error)
    if isinstance(error, SyntaxError):
        where: str | None = f"{short_path(error.filename)}:{error.lineno}" if error.filename else None
        text = one_line(error.msg or "")
    else:
        where = user_line(error)
    named = f"{class_of(error)}: {text}" if text else class_of(error)
    return f"{named} ({where})" if where else named


def user_line(error: BaseException) -> str | None:
    """``file:line`` of the innermost frame outside torch, this package and the import machinery; None without one.

    Code outside installed libraries is preferred: the user can mend it.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_foreign(frame.filename)]
    own = [frame for frame in frames if "site-packages" not in frame.filename]
    chosen = (own or frames)[-1:]
    return f"{short_path(chosen[0].filename)}:{chosen[0].lineno}" if chosen else None


def _is_foreign(filename: str) -> bool:
    if filename.startswith("<") or os.sep + "importlib" + os.sep in filename:
        return False
    return not filename.startswith((_PACKAGE + os.sep, _TORCH + os.sep))


def short_path(filename: str) -> str:
    """``filename`` relative to the current directory where it lies below it."""
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename


def root_cause(error: BaseException) -> BaseException:
    """The first exception of the chain of causes, which names the true cause of a failed import."""
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    return error


def import_remedy(cause: str) -> str:
    """What to do about a library that is installed but raises when it is imported."""
    if "torchvision::" in cause:
        return "install the torch and torchvision of one release from the same package index"
    return "install what it misses, or reinstall it beside the torch in use"


def chain(error: BaseException | None) -> Iterable[BaseException]:
    """The exception and all that led to it, each once: an exception that is raised again may lead to itself."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """``; did you mean resnet18?`` for the close matches of a name, else nothing."""
    known = list(dict.fromkeys(candidates))
    matches = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    lowered = [known_name for known_name in known if known_name.lower() == name.lower()]
    matches = list(dict.fromkeys(lowered + matches))
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def with_article(noun: str) -> str:
    """``an int``, ``a tuple``."""
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {noun}"
