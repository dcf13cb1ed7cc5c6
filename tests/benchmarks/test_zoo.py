"""A sample of the zoo, examined anew: another one each week, or the one of ``ZOO_SEED``."""

from __future__ import annotations

import datetime
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.zoo.configurations import small
from benchmarks.zoo.examination import examine, faults
from benchmarks.zoo.outcomes import (
    Outcome,
    append_outcome,
    installed_versions,
    read_outcomes,
    read_versions,
    write_outcomes,
)
from benchmarks.zoo.page import PAGE, page
from benchmarks.zoo.subjects import IMPORTERS, LIBRARIES, Subject, subjects
from tests.report.profiles import TINY

KEPT = read_outcomes()
SIZE = 4  # of each library
SEED = os.environ.get("ZOO_SEED") or "{}-W{:02}".format(*datetime.datetime.now(datetime.timezone.utc).isocalendar())


def _sample(library: str) -> list[Outcome]:
    """Some right outcomes of a library that take no run for real, which is slow."""
    quick = [
        outcome
        for outcome in KEPT.values()
        if outcome.library == library
        and outcome.verdict == "right"
        and "cpu" not in (outcome.place, outcome.counted_on)
    ]
    return random.Random(f"{SEED} {library}").sample(quick, SIZE)


SAMPLE = [outcome for library in LIBRARIES for outcome in _sample(library)]


@pytest.mark.libraries
@pytest.mark.parametrize("kept", SAMPLE, ids=["-".join(filter(None, (SEED, *outcome.key))) for outcome in SAMPLE])
def test_the_sample_of_the_week(kept: Outcome) -> None:
    IMPORTERS[kept.library]()
    features = {"features_only": True} if kept.variant else {}
    outcome = examine(Subject(kept.library, kept.name, kept.variant, features))
    assert outcome.verdict == "right", outcome.remark
    if installed_versions() == read_versions():
        assert (outcome.params, outcome.madds) == (kept.params, kept.madds)


@pytest.mark.libraries
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_model_has_an_outcome(library: str) -> None:
    IMPORTERS[library]()
    if installed_versions() != read_versions():
        pytest.skip("the outcomes are of other versions of the libraries")
    assert {subject.key for subject in subjects(library)} == {key for key in KEPT if key[0] == library}


def test_no_outcome_is_wrong() -> None:
    assert [outcome.key for outcome in KEPT.values() if outcome.verdict in ("wrong", "crash")] == []


def test_the_page_is_that_of_the_outcomes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(list(KEPT.values()), read_versions())


def _outcomes(*names: str) -> Sequence[Outcome]:
    return [Outcome(library="timm", name=name, verdict="right", params=1, madds=2) for name in names]


def test_the_last_outcome_of_a_model_counts(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    write_outcomes(_outcomes("b", "a"), {"timm": "1"}, path)
    append_outcome(Outcome(library="timm", name="a", verdict="crash", remark="later"), path)
    outcomes = read_outcomes(path)
    assert [(outcome.name, outcome.verdict) for outcome in outcomes.values()] == [("a", "crash"), ("b", "right")]
    assert read_versions(path) == {"timm": "1"}
    assert read_outcomes(tmp_path / "none.jsonl") == read_versions(tmp_path / "none.jsonl") == {}


def test_faults_are_named() -> None:
    total = TINY.total
    words = faults(TINY, total.params + 1, total.madds + 1)
    assert f"{total.params + 1} parameters by numel, not {total.params}" in words
    assert f"{total.madds + 1} MAdds by torch, not {total.madds}" in words


def test_small_configurations_keep_what_belongs_together() -> None:
    whole = {
        "vocab_size": 50_000,
        "eos_token_id": 49_999,
        "num_hidden_layers": 6,
        "layer_types": ["a", "a", "b", "a", "a", "b"],
        "hidden_size": 512,
        "num_attention_heads": 8,
        "vision_config": {"depth": 24, "embed_dim": 1280, "patch_size": 14},
    }
    made = small(whole, 8)
    assert made["vision_config"] == {"depth": 2, "embed_dim": 160, "patch_size": 14}
    assert made["eos_token_id"] < made["vocab_size"] == 1000
    assert (made["num_hidden_layers"], made["layer_types"]) == (2, ["a", "b"])
    assert (made["hidden_size"], made["num_attention_heads"]) == (64, 8)
