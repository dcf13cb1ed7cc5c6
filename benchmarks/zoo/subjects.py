"""Every model that the libraries register, as a spec of modelstat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.zoo.configurations import model_types
from tests.libraries import import_timm, import_torchvision, import_transformers
from torchstat_cli.loading import ModelSource, find_model

IMPORTERS = {"torchvision": import_torchvision, "timm": import_timm, "transformers": import_transformers}
LIBRARIES = tuple(IMPORTERS)


@dataclass(frozen=True)
class Subject:
    """A name of a library, and how to ask for it."""

    library: str
    name: str
    variant: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it among all."""
        return self.library, self.name, self.variant


def subjects(library: str) -> Iterator[Subject]:
    """Every model of a library, in the order in which it lists them."""
    if library == "torchvision":
        yield from (Subject(library, name) for name in import_torchvision().models.list_models())
    elif library == "timm":
        for name in import_timm().list_models():
            yield Subject(library, name)
            yield Subject(library, name, "features", {"features_only": True})
    else:
        import_transformers()
        yield from (Subject(library, name) for name in model_types())


def source_of(subject: Subject) -> ModelSource:
    """Where modelstat builds a model of torchvision or timm from."""
    return find_model(f"{subject.library}/{subject.name}", subject.arguments)


def source_of_configuration(configuration: Mapping[str, Any]) -> ModelSource:
    """Where modelstat builds a model of transformers from, by a ``config.json``."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
        return find_model(f"hf/{folder}")
