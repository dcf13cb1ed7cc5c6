from __future__ import annotations

import json
from collections.abc import Callable

from tests.report.verdicts import ACCEPTED, BETTER, EVERY_STATE, FAILING, NEW, PASSING, run
from torchstat_cli.report.verdict.json import render_json, verdict_document


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("gate/verdict.json", render_json(run(*EVERY_STATE, against="main", notices=("a notice",))))


def test_numbers_are_exact_and_deltas_sum() -> None:
    document = json.loads(render_json(run(PASSING, FAILING)))
    assert (document["schema"], document["verdict"], document["exit_code"]) == (1, "FAIL", 1)
    (params,) = [check for check in document["checks"] if check["model"] == "vit_tiny" and check["metric"] == "params"]
    assert params == {
        "model": "vit_tiny",
        "metric": "params",
        "module": None,
        "state": "FAIL",
        "baseline": 5_712_424,
        "current": 6_895_144,
        "limit": "+1%",
        "delta": 1_182_720,
        "percent": 20.7043,
        "accepted_from": None,
    }
    for metric in ("params", "flops", "madds", "memory", "trainable"):
        (check,) = [check for check in document["checks"] if check["model"] == "vit_tiny" and check["metric"] == metric]
        assert sum(change["deltas"][metric] for change in document["explain"]) == check["delta"]


def test_the_keys_are_the_same_whatever_was_decided() -> None:
    keys = [set(verdict_document(run(model))) for model in EVERY_STATE]
    assert all(found == keys[0] for found in keys)


def test_accepted_growth_has_its_origin() -> None:
    document = verdict_document(run(ACCEPTED, PASSING, against="main"))
    flops = [check for check in document["checks"] if check["metric"] == "flops"]
    assert [(check["baseline"], check["current"], check["delta"], check["accepted_from"]) for check in flops] == [
        (2_972_147_712, 2_972_147_712, 0, 2_507_366_400),
        (3_628_146_688, 3_628_146_688, 0, None),
    ]
    assert sum(change["deltas"]["flops"] for change in document["explain"]) == 2_972_147_712 - 2_507_366_400


def test_what_is_not_known_is_null() -> None:
    checks = verdict_document(run(NEW))["checks"]
    assert {(check["baseline"], check["delta"], check["percent"]) for check in checks} == {(None, None, None)}


def test_a_verdict_that_passes() -> None:
    assert verdict_document(run(BETTER))["exit_code"] == 0
    assert verdict_document(run(BETTER, strict=True))["exit_code"] == 1
