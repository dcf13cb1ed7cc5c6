"""Whole runs over measured models: exit codes, what is written, and when a run is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gate.profiles import blocks, entry, linear, profile, row
from tests.gate.repository import Repository
from torchstat_cli.errors import BaselineError, ForwardError, UsageError
from torchstat_cli.gate.baseline.files import load_baseline, save_baseline
from torchstat_cli.gate.config import GateConfig, ModelEntry, default_rules
from torchstat_cli.gate.judge import take_snapshot
from torchstat_cli.gate.run import Request, decide, find_references, write
from torchstat_cli.gate.verdict import State, Verdict
from torchstat_cli.records import Profile

BROKEN = ForwardError("forward failed in 'x'", "mend it")


def flops(number: int) -> Profile:
    return profile(row("layer", flops=number, params=10))


class Gate:
    """A configured project in a folder; models are handed in as measured."""

    def __init__(self, root: Path, *models: ModelEntry) -> None:
        path = root / "pyproject.toml"
        self.config = GateConfig(root / "baseline.json", models, path=path, section="[tool.modelstat]")

    def check(self, measured: dict[str, Any], *names: str, **request: Any) -> Verdict:
        asked = Request(names, **request)
        entries = self.config.select(names)
        references = find_references(self.config, entries, asked)
        judge = write if asked.update or asked.ratchet else decide
        return judge(self.config, entries, measured, references, asked)

    @property
    def baseline(self) -> bytes:
        return self.config.baseline.read_bytes()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Two models, both limited to 1 % growth of FLOPs, with a baseline of 1000 FLOPs each."""
    gate = Gate(tmp_path, entry("a", flops="+1%"), entry("b", flops="+1%"))
    gate.check({"a": flops(1000), "b": flops(1000)}, update=True)
    return gate


PASSING: dict[str, Any] = {"a": flops(1000), "b": flops(1000)}


@pytest.mark.parametrize(
    ("state", "changed", "normal", "strict"),
    [
        (State.PASS, flops(1000), 0, 0),
        (State.BETTER, flops(999), 0, 1),
        (State.FAIL, flops(1011), 1, 1),
        (State.STALE, profile(row("layer", flops=1), shape=(9,)), 2, 2),
        (State.ERROR, BROKEN, 2, 2),
    ],
)
def test_exit_codes_of_states(gate: Gate, state: State, changed: Any, normal: int, strict: int) -> None:
    measured = {**PASSING, "b": changed}
    verdict = gate.check(measured)
    assert [model.state for model in verdict.models] == [State.PASS, state]
    assert verdict.exit_code == normal
    assert gate.check(measured, strict=True).exit_code == strict


def test_partial_passes_unless_strict(gate: Gate) -> None:
    partial = {**PASSING, "b": profile(row("layer", flops=1000, params=10), unknown=("my.op",))}
    assert gate.check(partial).models[1].state is State.PARTIAL
    assert gate.check(partial).exit_code == 0
    assert gate.check(partial, strict=True).exit_code == 1


def test_new_and_gone_pass_unless_strict(gate: Gate, tmp_path: Path) -> None:
    renamed = Gate(tmp_path, entry("a", flops="+1%"), entry("c", flops="+1%"))
    verdict = renamed.check({"a": flops(1000), "c": flops(5)})
    assert [(model.name, model.state) for model in verdict.models] == [
        ("a", State.PASS),
        ("c", State.NEW),
        ("b", State.GONE),
    ]
    assert verdict.exit_code == 0
    assert renamed.check({"a": flops(1000), "c": flops(5)}, strict=True).exit_code == 1


def test_named_models_leave_the_others_alone(gate: Gate) -> None:
    assert [model.name for model in gate.check({"b": flops(1000)}, "b").models] == ["b"]


def test_two_wins_over_one_and_every_model_is_judged(gate: Gate) -> None:
    verdict = gate.check({"a": BROKEN, "b": flops(5000)})
    assert [model.state for model in verdict.models] == [State.ERROR, State.FAIL]
    assert verdict.exit_code == 2


def test_exit_zero_forgives_limits_but_no_errors(gate: Gate) -> None:
    verdict = gate.check({**PASSING, "b": flops(5000)}, exit_zero=True)
    assert (verdict.state, verdict.exit_code) == (State.FAIL, 0)
    assert gate.check({"a": BROKEN, "b": flops(5000)}, exit_zero=True).exit_code == 2


class TestUpdate:
    def test_the_next_check_passes(self, gate: Gate) -> None:
        grown = {"a": flops(1000), "b": flops(2000)}
        assert gate.check(grown).exit_code == 1
        update = gate.check(grown, update=True)
        assert (update.exit_code, update.update and update.update.written) == (0, ("b",))
        assert update.models[1].checks[2].delta == 1000  # the same difference it would have failed with
        assert gate.check(grown).exit_code == 0

    def test_one_model_leaves_the_entries_of_the_others(self, gate: Gate) -> None:
        before = load_baseline(gate.config.baseline)
        gate.check({"b": flops(7)}, "b", update=True)
        after = load_baseline(gate.config.baseline)
        assert before is not None
        assert after is not None
        assert before["a"] == after["a"]
        assert after["b"].totals["flops"] == 7

    def test_gone_entries_are_dropped_only_without_names(self, gate: Gate, tmp_path: Path) -> None:
        one = Gate(tmp_path, entry("a", flops="+1%"))
        one.check({"a": flops(1000)}, "a", update=True)
        assert set(load_baseline(one.config.baseline) or {}) == {"a", "b"}
        verdict = one.check({"a": flops(1000)}, update=True)
        assert verdict.update is not None
        assert verdict.update.pruned == ("b",)
        assert set(load_baseline(one.config.baseline) or {}) == {"a"}

    def test_entries_that_were_never_configured_are_not_gone(self, gate: Gate, tmp_path: Path) -> None:
        live = replace(take_snapshot(entry("x"), flops(1)), spec="live torch.nn:Linear")
        models = {**(load_baseline(gate.config.baseline) or {}), "test_live": live, "m:vit": live}
        save_baseline(gate.config.baseline, models)
        assert [model.name for model in gate.check(PASSING, strict=True).models] == ["a", "b"]
        assert gate.check(PASSING, update=True).exit_code == 0
        assert set(load_baseline(gate.config.baseline) or {}) == {"a", "b", "test_live", "m:vit"}

    def test_a_model_that_failed_keeps_its_entry(self, gate: Gate) -> None:
        verdict = gate.check({"a": BROKEN, "b": flops(2000)}, update=True)
        assert verdict.exit_code == 2
        models = load_baseline(gate.config.baseline) or {}
        assert (models["a"].totals["flops"], models["b"].totals["flops"]) == (1000, 2000)

    def test_a_ceiling_cannot_be_updated_away(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, entry("a", flops=["+1%", "1500"]))
        verdict = gate.check({"a": flops(2000)}, update=True)
        assert (verdict.exit_code, verdict.models[0].state) == (1, State.FAIL)

    def test_a_stale_entry_is_replaced(self, gate: Gate) -> None:
        other = profile(row("layer", flops=1), shape=(9,))
        assert gate.check({**PASSING, "a": other}, update=True).exit_code == 0
        assert gate.check({**PASSING, "a": other}).exit_code == 0

    def test_the_same_numbers_give_the_same_bytes(self, gate: Gate, tmp_path: Path) -> None:
        elsewhere = Gate(tmp_path / "elsewhere", entry("b", flops="off"), entry("a", flops="3 G"))
        elsewhere.check(dict(reversed(PASSING.items())), update=True)
        assert elsewhere.baseline == gate.baseline

    def test_what_another_run_wrote_meanwhile_stays(self, gate: Gate) -> None:
        for late, own, other in (({"update": True}, 2000, 3000), ({"ratchet": True}, 500, 600)):
            asked = Request(("a",), **late)
            entries = gate.config.select(("a",))
            references = find_references(gate.config, entries, asked)
            gate.check({"b": flops(other)}, "b", update=True)
            write(gate.config, entries, {"a": flops(own)}, references, asked)
            models = load_baseline(gate.config.baseline) or {}
            assert (models["a"].totals["flops"], models["b"].totals["flops"]) == (own, other)

    def test_an_entry_that_another_run_renewed_is_not_dropped(self, gate: Gate, tmp_path: Path) -> None:
        one = Gate(tmp_path, entry("a", flops="+1%"))
        asked = Request(update=True)
        references = find_references(one.config, one.config.models, asked)
        gate.check({"b": flops(7)}, "b", update=True)
        write(one.config, one.config.models, {"a": flops(1000)}, references, asked)
        assert set(load_baseline(one.config.baseline) or {}) == {"a", "b"}

    def test_a_corrupt_file_is_not_overwritten(self, gate: Gate) -> None:
        gate.config.baseline.write_bytes(gate.baseline[:99])
        with pytest.raises(BaselineError, match="not valid JSON"):
            gate.check(PASSING, update=True)
        assert len(gate.baseline) == 99


def measured_as(number: int, **provenance: Any) -> Profile:
    found = flops(number)
    return replace(found, provenance=replace(found.provenance, **provenance))


class TestMigration:
    def test_counting_rules(self, gate: Gate) -> None:
        after = {name: measured_as(number, rules=2) for name, number in (("a", 1000), ("b", 1200))}
        stale = gate.check(after)
        assert [model.state for model in stale.models] == [State.STALE, State.STALE]
        assert {model.remedy for model in stale.models} == {"measure again on purpose:  modelstat check --update"}
        update = gate.check(after, update=True)
        assert update.exit_code == 0
        assert update.update is not None
        assert update.update.migrated == ("a, b: the baseline was counted with rules 1, this run with 2",)
        # Both numbers side by side: a model may have grown meanwhile.
        deltas = {model.name: {check.metric: check.delta for check in model.checks}["flops"] for model in update.models}
        assert deltas == {"a": 0, "b": 200}
        assert gate.check(after).exit_code == 0

    def test_ceilings_are_kept(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, entry("a", flops=["+1%", "1100"]))
        gate.check({"a": flops(1000)}, update=True)
        assert gate.check({"a": measured_as(1200, rules=2)}, update=True).exit_code == 1

    def test_a_ratchet_leaves_what_it_cannot_compare(self, gate: Gate) -> None:
        verdict = gate.check({"a": measured_as(900, rules=2), "b": flops(900)}, ratchet=True)
        assert [model.state for model in verdict.models] == [State.STALE, State.PASS]
        assert verdict.update is not None
        assert (verdict.update.written, verdict.update.migrated) == (("b",), ())

    def test_a_spec_that_is_spelled_otherwise(self, gate: Gate, tmp_path: Path) -> None:
        models = [replace(model, spec="./models.py:tiny") for model in gate.config.models]
        anew = Gate(tmp_path, *models)
        assert [model.state for model in anew.check(PASSING).models] == [State.PASS, State.PASS]
        update = anew.check(PASSING, update=True).update
        assert update is not None
        assert update.migrated == ("a, b: its spec was models:tiny and is ./models.py:tiny",)

    @pytest.mark.parametrize(
        ("before", "after", "resolved"),
        [
            ("resnet18", "torchvision/resnet18", "torchvision.models:resnet18"),
            ("torchvision/resnet18", "resnet18", "torchvision.models:resnet18"),
            ("models.py:tiny", "./models.py:tiny", "./models.py:tiny"),
            ("models:tiny", "models.py:tiny", "models.py:tiny"),
            ("vit_tiny", "sample_models/vit_tiny", "sample_models.vit:vit_tiny"),
        ],
    )
    def test_a_model_that_is_named_by_its_spec(self, tmp_path: Path, before: str, after: str, resolved: str) -> None:
        gate = Gate(tmp_path)
        gate.config = replace(gate.config, rules=default_rules())
        gate.check({before: flops(1000)}, before, update=True)
        now = measured_as(1000, resolved=resolved)
        same = gate.check({after: now}, after)
        assert (same.exit_code, same.models[0].state) == (0, State.PASS)
        assert same.models[0].notes == (f"compared with the entry of {before}, another spelling of the same model",)
        # Another spelling is no way around the gate.
        assert gate.check({after: measured_as(2000, resolved=resolved)}, after).exit_code == 1
        assert gate.check({after: now}, after, strict=True).exit_code == 0
        update = gate.check({after: now}, after, update=True).update
        assert update is not None
        assert (update.written, update.pruned, update.migrated) == ((after,), (), (f"{after}: was {before}",))
        assert set(load_baseline(gate.config.baseline) or {}) == {after}
        assert gate.check({after: now}, after).models[0].notes == ()

    def test_a_ratchet_keeps_the_entry_under_the_new_spelling(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path)
        gate.check({"resnet18": flops(1000)}, "resnet18", update=True)
        gate.check({"torchvision/resnet18": flops(900)}, "torchvision/resnet18", ratchet=True)
        models = load_baseline(gate.config.baseline) or {}
        assert {name: model.totals["flops"] for name, model in models.items()} == {"torchvision/resnet18": 900}


class TestRename:
    @pytest.fixture
    def renamed(self, gate: Gate, tmp_path: Path) -> Gate:
        """``b`` is called ``c`` now."""
        gate.check({"a": flops(1000), "b": flops(5)}, update=True)
        return Gate(tmp_path, entry("a", flops="+1%"), entry("c", flops="+1%"))

    def test_it_is_recognized_by_its_numbers(self, renamed: Gate) -> None:
        verdict = renamed.check({"a": flops(1000), "c": flops(5)})
        assert [(model.name, model.state, model.renamed_from) for model in verdict.models] == [
            ("a", State.PASS, None),
            ("c", State.NEW, "b"),
            ("b", State.GONE, None),
        ]
        (alone,) = renamed.check({"c": flops(5)}, "c").models
        assert alone.renamed_from == "b"

    def test_other_numbers_are_another_model(self, renamed: Gate) -> None:
        verdict = renamed.check({"a": flops(1000), "c": flops(6)})
        assert [model.renamed_from for model in verdict.models] == [None, None, None]

    def test_an_update_says_so(self, renamed: Gate) -> None:
        update = renamed.check({"a": flops(1000), "c": flops(5)}, update=True).update
        assert update is not None
        assert (update.written, update.pruned, update.migrated) == (("c",), ("b",), ("c: was b",))
        assert set(load_baseline(renamed.config.baseline) or {}) == {"a", "c"}

    def test_one_that_grew_is_new_and_the_other_dropped(self, renamed: Gate) -> None:
        update = renamed.check({"a": flops(1000), "c": flops(6)}, update=True).update
        assert update is not None
        assert (update.written, update.pruned, update.migrated) == (("c",), ("b",), ())


class TestRatchet:
    def test_only_smaller_numbers_are_written(self, gate: Gate) -> None:
        verdict = gate.check({"a": flops(900), "b": flops(1005)}, ratchet=True)
        assert (verdict.exit_code, verdict.update and verdict.update.written) == (0, ("a",))
        models = load_baseline(gate.config.baseline) or {}
        assert (models["a"].totals["flops"], models["b"].totals["flops"]) == (900, 1000)

    def test_growth_beyond_the_limit_still_fails(self, gate: Gate) -> None:
        before = gate.baseline
        assert gate.check({"a": flops(1000), "b": flops(1011)}, ratchet=True).exit_code == 1
        assert gate.baseline == before

    def test_nothing_to_ratchet(self, tmp_path: Path) -> None:
        with pytest.raises(BaselineError, match="nothing to ratchet"):
            Gate(tmp_path, entry("a", flops="3 G")).check({"a": flops(1)}, ratchet=True)


class TestMissingBaseline:
    def test_default_limits_and_no_ceiling(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, replace(entry("a"), rules=default_rules()))
        with pytest.raises(BaselineError, match="no ceiling is configured, so nothing can be checked") as caught:
            gate.check({"a": flops(1)})
        assert caught.value.hint == "make one and commit it:  modelstat check --update"

    def test_a_growth_limit_that_somebody_wrote(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, entry("a", flops=["+1%", "3 G"]))
        with pytest.raises(BaselineError, match="a is limited relative to one"):
            gate.check({"a": flops(1)})

    def test_ceilings_alone_need_none(self, tmp_path: Path) -> None:
        model = entry("a", flops="100")
        gate = Gate(tmp_path, replace(model, rules={**default_rules(), **model.rules}))
        verdict = gate.check({"a": flops(100)})
        assert (verdict.exit_code, verdict.models[0].state) == (0, State.NEW)
        assert gate.check({"a": flops(101)}).exit_code == 1
        assert not gate.config.baseline.exists()

    def test_a_ceiling_on_a_module_counts(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, entry("a", modules={"layer": {"flops": "100"}}))
        assert gate.check({"a": flops(100)}).exit_code == 0
        assert gate.check({"a": flops(101)}).exit_code == 1


class TestAgainst:
    @pytest.fixture
    def gate(self, repository: Repository) -> Gate:
        gate = Gate(repository.root, entry("a", flops="+1%"))
        gate.check({"a": flops(1000)}, update=True)
        repository.git("add", ".")
        repository.git("commit", "-qm", "baseline")
        repository.git("switch", "-qc", "branch")
        return gate

    def test_growth_since_the_fork(self, gate: Gate) -> None:
        assert gate.check({"a": flops(1010)}, against="main").exit_code == 0
        assert gate.check({"a": flops(1011)}, against="main").exit_code == 1

    def test_growth_on_main_meanwhile_is_not_ours(self, gate: Gate, repository: Repository) -> None:
        repository.git("switch", "-q", "main")
        gate.check({"a": flops(5000)}, update=True)
        repository.git("commit", "-qam", "main grew")
        repository.git("switch", "-q", "branch")
        assert gate.check({"a": flops(1011)}, against="main").exit_code == 1

    def test_an_update_in_the_branch_accepts_its_growth(self, gate: Gate) -> None:
        gate.check({"a": flops(2000)}, update=True)
        assert gate.check({"a": flops(2000)}, against="main").exit_code == 0

    def test_no_file_at_the_fork(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit("readme", "x")
        gate = Gate(repository.root, entry("a", flops="+1%"))
        gate.check({"a": flops(1)}, update=True)
        verdict = gate.check({"a": flops(1)}, against="main")
        assert (verdict.exit_code, verdict.models[0].state) == (0, State.NEW)
        assert len(verdict.notices) == 1
        assert "every model is new" in verdict.notices[0]

    def test_no_file_at_the_fork_and_none_here(self, repository: Repository) -> None:
        repository.commit("readme", "x")
        with pytest.raises(BaselineError, match="so nothing can be checked"):
            Gate(repository.root, entry("a", flops="+1%")).check({"a": flops(1)}, against="main")
        with pytest.raises(BaselineError, match="a is limited relative to one"):
            Gate(repository.root, entry("a", flops="+1%", params="20")).check({"a": flops(1)}, against="main")
        verdict = Gate(repository.root, entry("a", params="20")).check({"a": flops(1)}, against="main")
        assert (verdict.exit_code, verdict.models[0].state) == (0, State.NEW)

    def test_an_empty_ref_as_of_a_variable_that_is_not_set(self, gate: Gate) -> None:
        with pytest.raises(BaselineError, match="git knows no commit ''"):
            gate.check({"a": flops(9000)}, against="")

    def test_a_corrupt_file_at_the_fork(self, gate: Gate, repository: Repository) -> None:
        good = gate.config.baseline.read_text()
        repository.commit("baseline.json", "{")
        repository.write("baseline.json", good)
        with pytest.raises(BaselineError, match=r"baseline\.json at") as caught:
            gate.check({"a": flops(1)}, against="HEAD")
        assert "mend the file on HEAD" in str(caught.value.hint)


@pytest.mark.parametrize(
    "flags", [{"update": True, "ratchet": True}, {"update": True, "against": "main"}, {"ratchet": True, "against": ""}]
)
def test_updates_combine_with_nothing(flags: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="cannot be combined"):
        Request(**flags)


growth = st.sampled_from(["+0", "+0%", "+1%", "+12.5 %", "+3000", "off"])
models = st.lists(
    st.builds(
        lambda depth, width, hidden, unknown: profile(
            *blocks(depth, width, hidden), linear("head", width, 3), unknown=("my.op",) if unknown else ()
        ),
        st.integers(0, 3),
        st.integers(1, 64),
        st.integers(1, 64),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(models, models, growth, growth)
def test_a_check_right_after_an_update_passes(
    tmp_path: Path, before: list[Profile], after: list[Profile], flops: str, memory: str
) -> None:
    limited = [entry(f"m{index}", flops=flops, memory=memory) for index in range(max(len(before), len(after)))]
    old, new = (
        {model.name: found[index % len(found)] for index, model in enumerate(limited)} for found in (before, after)
    )
    gate = Gate(tmp_path, *limited)
    gate.check(old, update=True)
    assert gate.check(new, update=True).exit_code == 0
    verdict = gate.check(new)
    assert verdict.exit_code == 0
    assert all(check.delta == 0 for model in verdict.models for check in model.checks)
