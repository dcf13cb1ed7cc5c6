"""What came of one model, and the file that keeps it for all."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results.jsonl"
PACKAGES = ("torch", "torchvision", "timm", "transformers")

Verdict = Literal["right", "wrong", "crash", "no input", "torch fails", "not built"]
"""``no input``: it wants more than the usual inputs that modelstat knows; ``torch fails``: so does the bare forward
pass, everywhere; ``not built``: the library itself does not build it from its default configuration."""

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One model."""

    library: str  # "timm", "torchvision", "transformers"
    name: str  # as the library registers it
    variant: str = ""  # "features": timm's features_only
    configuration: str = ""  # of a transformers type, in words
    verdict: Verdict
    params: int | None = None  # as modelstat says
    madds: int | None = None  # as modelstat says
    counted: int | None = None  # MAdds as torch counts them
    place: str = ""  # where modelstat ran it: "meta", "meta+values", "cpu"
    counted_on: str = ""  # where torch counted: "meta", "fake", "fake, bfloat16", "cpu"
    remark: str = ""  # why it is not right, or what else is to be known

    @property
    def key(self) -> Key:
        """What names it among all."""
        return self.library, self.name, self.variant


def read_outcomes(path: Path = RESULTS) -> dict[Key, Outcome]:
    """The outcomes in ``path`` by key, of which the last one of a model counts; nothing where there is no file."""
    outcomes = (Outcome(**line) for line in _lines(path) if "versions" not in line)
    return {outcome.key: outcome for outcome in outcomes}


def read_versions(path: Path = RESULTS) -> Mapping[str, str]:
    """With which versions the outcomes came about, by package; nothing where the run is not over."""
    return next((line["versions"] for line in _lines(path) if "versions" in line), {})


def installed_versions() -> dict[str, str]:
    """The versions of what a run depends on; a build's local part left out."""
    return {package: importlib.metadata.version(package).partition("+")[0] for package in PACKAGES}


def append_outcome(outcome: Outcome, path: Path = RESULTS) -> None:
    """Add one line to ``path``."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(outcome))


def write_outcomes(outcomes: Iterable[Outcome], versions: Mapping[str, str], path: Path = RESULTS) -> None:
    """Write ``path`` anew: the versions, then one line per model in the order of their keys."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.key)
    path.write_text(json.dumps({"versions": versions}) + "\n" + "".join(map(_line, ordered)), encoding="utf-8")


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _line(outcome: Outcome) -> str:
    return json.dumps({key: value for key, value in asdict(outcome).items() if value not in ("", None)}) + "\n"
