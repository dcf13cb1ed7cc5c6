"""Which models a sweep is of: specs, patterns over a library's names, and files of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path

from torchstat_cli.errors import InputError, SpecError, UsageError
from torchstat_cli.foreign_text import shown

_MAGIC = frozenset("*?[")


def listed_models(path: str) -> tuple[str, ...]:
    """The specs of a text file, one a line; blank lines and what follows a ``#`` do not count.

    Raises:
        InputError: the file cannot be read, or names nothing.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(
            f"cannot read the list {shown(path)}: {reason}", "give a text file with one spec a line"
        ) from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = tuple(line for line in lines if line)
    if not found:
        raise InputError(f"{shown(path)} names no model", "write one spec a line")
    return found


def expand(specs: Iterable[str], names_of: Callable[[str], list[str]]) -> list[str]:
    """The models that ``specs`` stand for, each once, in order.

    Args:
        specs: specs and patterns: ``timm/vit_*``, ``hf/configs/*.json``.
        names_of: every name of a library, by its prefix.

    Raises:
        SpecError: a pattern matches nothing, or its library has no list of names.
    """
    found: dict[str, None] = {}
    for spec in specs:
        models = _matching(spec, names_of) if is_pattern(spec) else [spec]
        if not models:
            raise SpecError(
                f"no model matches {spec!r}", "quote patterns, and see what there is: modelstat sweep 'timm/*'"
            )
        found.update(dict.fromkeys(models))
    if not found:
        raise UsageError("there is nothing to sweep", "name models, a pattern such as 'timm/vit_*', or --from FILE")
    return list(found)


def is_pattern(spec: str) -> bool:
    """Whether a spec stands for several: a factory's own signature may hold brackets, so a colon makes it none."""
    return not _MAGIC.isdisjoint(spec) and ":" not in spec


def _matching(spec: str, names_of: Callable[[str], list[str]]) -> list[str]:
    prefix, slash, pattern = spec.partition("/")
    if not slash:
        raise SpecError(f"{spec!r} names no library", "write torchvision/…, timm/… or hf/PATH/*")
    if prefix == "hf":
        return [f"hf/{path}" for path in sorted(glob(pattern))]
    return [f"{prefix}/{name}" for name in names_of(prefix) if fnmatchcase(name, pattern)]
