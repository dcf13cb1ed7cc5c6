"""Tables of four papers, as their authors' repositories print them: to every printed digit, exceptions explained."""

from __future__ import annotations

import csv
from math import prod
from pathlib import Path

import pytest

from tests.libraries import import_timm
from torchstat_cli.loading import InputSpec, find_model
from torchstat_cli.records import Profile
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.settings import Settings

pytestmark = pytest.mark.libraries

Row = dict[str, str]

# One network stands in ConvNeXt's own table twice, as 45.0 and as 47.0; the table of V2 prints 45.2 for it.
MISPRINTED = {("timm/convnext_base", "384"): 45.1}


def _rows() -> list[Row]:
    with Path(__file__).with_name("papers.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _as_printed(value: float, printed: str) -> float:
    return round(value, len(printed.partition(".")[2]))


def _normed_elements(profile: Profile) -> int:
    """Elements of layer norms. fvcore, which made the table of V2, adds 5 for each that is no code of the authors'."""
    norms = [entry for entry in profile.rows if entry.type.startswith("LayerNorm")]
    assert norms
    return sum(prod(entry.output_shape[0]) for entry in norms)


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row['spec'].partition('/')[2]}-{row['size']}")
def test_params_and_macs(row: Row) -> None:
    import_timm()
    size = int(row["size"])
    given = (InputSpec(None, (1, 3, size, size), None, None),)
    profile, _ = profile_spec(find_model(row["spec"]), given, Settings(device="meta"))
    assert _as_printed(profile.total.params / 1e6, row["million_params"]) == float(row["million_params"])
    expected = MISPRINTED.get((row["spec"], row["size"]), float(row["gmacs"]))
    least = most = profile.total.madds
    if "ConvNeXt V2" in row["source"]:
        most += 5 * _normed_elements(profile)
    assert _as_printed(least / 1e9, row["gmacs"]) <= expected <= _as_printed(most / 1e9, row["gmacs"])
