"""One model under two names: its spec is spelled otherwise now, or a new name has the numbers of one that is gone."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection

from torchstat_cli.gate.baseline.json import Baseline
from torchstat_cli.gate.baseline.snapshot import Snapshot

_LIBRARIES = ("torchvision", "timm", "sample_models")  # a bare name is looked up in them
_IN_LIBRARY = re.compile(rf"({'|'.join(_LIBRARIES)})(?:/|\.(?:\w+\.)*\w+:|:)(.+)")


def same_model(one: str, other: str, directory: str = ".") -> bool:
    """Whether two specs are spellings of one model, as far as their words tell.

    ``resnet18`` and ``torchvision/resnet18`` are, and ``torchvision.models:resnet18``; so are ``models.py:tiny``,
    ``./models.py:tiny`` and ``models:tiny``.

    Args:
        one: a spec.
        other: another.
        directory: where relative paths start.
    """
    (library, name), (other_library, other_name) = _parts(one, directory), _parts(other, directory)
    libraries = {library, other_library}
    # A bare name says no library: it may be any of them.
    return name == other_name and (len(libraries) == 1 or ("" in libraries and bool(libraries & set(_LIBRARIES))))


def _parts(spec: str, directory: str) -> tuple[str, str]:
    """The library, "" where the spec leaves it open and "own" for the user's code, and the model in it."""
    text = spec.strip().replace("\\", "/")
    found = _IN_LIBRARY.fullmatch(text)
    if found and ".py:" not in text:
        return found[1], found[2]
    if text.startswith("hf/"):
        return "hf", posixpath.normpath(text.removeprefix("hf/")).removesuffix("/config.json")
    path, colon, attribute = text.rpartition(":")
    if not colon:
        return "", text
    if os.path.isabs(path):
        path = os.path.relpath(path, directory).replace("\\", "/")
    module = posixpath.normpath(path).removesuffix(".py").replace("/", ".")
    return "own", f"{module}:{attribute}"


def name_in(
    baseline: Baseline, name: str, specs: Collection[str], configured: Collection[str], directory: str = "."
) -> str:
    """What ``baseline`` calls a model: ``name``, or the spec of its model as it was spelled before.

    Args:
        baseline: the entries.
        name: what the model is called now.
        specs: how its spec is spelled now: as written, and as it was resolved.
        configured: names that configured models have; their entries are theirs.
        directory: where relative paths start.
    """
    if name in baseline or name not in specs:
        return name  # a name that was chosen for the model has one spelling
    # What a bare name was resolved to says which library it is of.
    said = [spec for spec in specs if _parts(spec, directory)[0]] or specs
    former = (
        other
        for other, entry in sorted(baseline.items())
        if other == entry.spec and other not in configured and any(same_model(other, spec, directory) for spec in said)
    )
    return next(former, name)


def twin(now: Snapshot, gone: Baseline) -> str | None:
    """The one entry of ``gone`` with the numbers of ``now``, layer by layer; None without one, or with several."""
    equal = [
        name
        for name, entry in gone.items()
        if entry.totals == now.totals
        and entry.groups == now.groups
        and not entry.conditions.differences(now.conditions)
    ]
    return equal[0] if len(equal) == 1 else None
