from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchstat_cli.errors import ConfigError, UsageError
from torchstat_cli.gate.config import DEFAULT_BASELINE, GateConfig, default_config, read_config
from torchstat_cli.gate.limits import spell_limits
from torchstat_cli.gate.metrics import METRICS

FILE = Path("/project/pyproject.toml")
SECTION = "[tool.modelstat]"


def read(table: dict[str, Any]) -> GateConfig:
    return read_config(table, FILE, SECTION)


def limits_of(config: GateConfig, name: str) -> dict[str, tuple[str, str]]:
    (model,) = [model for model in config.models if model.name == name]
    return {metric: (spell_limits(rule.limits, METRICS[metric]), rule.origin) for metric, rule in model.rules.items()}


def test_everything_of_the_specification() -> None:
    config = read(
        {
            "baseline": "sample_models/baseline.json",
            "limits": {"params": "+2%"},
            "jobs": 3,
            "timeout": 90,
            "models": {
                "vit_tiny": {
                    "spec": "sample_models.vit:tiny",
                    "input": "1x3x224x224:float32",
                    "args": {"depth": 12},
                    "mode": "train",
                    "dtype": "bfloat16",
                    "limits": {"memory": "64 MiB", "flops": ["+1%", "3 G"]},
                    "modules": {"encoder.*": {"flops": "2 G"}},
                    "message": "Edge budget",
                }
            },
        }
    )
    (model,) = config.models
    assert config.baseline == Path("/project/sample_models/baseline.json")
    assert (config.jobs, config.timeout) == (3, 90)
    assert (model.spec, model.inputs, model.mode, model.dtype) == (
        "sample_models.vit:tiny",
        ("1x3x224x224:float32",),
        "train",
        "bfloat16",
    )
    assert (model.arguments, model.message, model.directory) == ({"depth": 12}, "Edge budget", "/project")
    table = "[tool.modelstat.models.vit_tiny]"
    assert limits_of(config, "vit_tiny") == {
        "params": ("+2%", SECTION),
        "flops": ("+1%, 3 G", table),
        "memory": ("64 MiB", table),
    }
    assert spell_limits(model.module_rules["encoder.*"]["flops"].limits, METRICS["flops"]) == "2 G"


def test_limits_merge_per_metric_down_from_the_command_line() -> None:
    config = read(
        {
            "limits": {"params": "+5%", "memory": "1 MiB"},
            "models": {"a": {"spec": "a:a", "limits": {"memory": "2 MiB"}}},
        }
    ).with_limits(("flops=off", "memory=3 MiB"))
    assert limits_of(config, "a") == {
        "params": ("+5%", SECTION),
        "flops": ("off", "--limit"),
        "memory": ("3 MiB", "--limit"),
    }


def test_several_limits_of_one_metric_on_the_command_line_must_all_hold() -> None:
    config = read({"models": {"a": {"spec": "a:a"}}}).with_limits(("flops=+1%", "flops=3 G"))
    assert limits_of(config, "a")["flops"] == ("+1%, 3 G", "--limit")


def test_defaults_without_configuration() -> None:
    config = default_config(Path("/project"))
    assert config.baseline == Path("/project") / DEFAULT_BASELINE
    (model,) = config.select(("package.module:factory",))
    assert {name: spell_limits(rule.limits, METRICS[name]) for name, rule in model.rules.items()} == {
        "params": "+1%",
        "flops": "+1%",
    }
    assert all(rule.is_default for rule in model.rules.values())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"basline": "x"}, ["'basline'", "did you mean 'baseline'?"]),
        ({"colour": "x"}, ["'colour'", "known are baseline"]),
        ({"models": {"a": {"spec": "a:a", "limit": {}}}}, [".models.a]", "'limit'", "did you mean 'limits'?"]),
        ({"models": {"a": {"spec": "a:a", "limits": {"flop": "+1%"}}}}, ["'flop'", "did you mean 'flops'?"]),
        ({"limits": {"speed": "+1%"}}, ["'speed'", "metrics are params"]),
        ({"models": {"a": {}}}, [".models.a] has no spec", "spec ="]),
        ({"models": {"a": {"spec": " "}}}, ["spec must be a string that is not empty"]),
        ({"models": {"a": "a:a"}}, [".models.a] must be a table"]),
        ({"models": ["a"]}, ["models must be a table"]),
        ({"models": {"a": {"spec": "a:a", "input": 3}}}, ["input must be a string or a list of strings"]),
        ({"models": {"a": {"spec": "a:a", "mode": "test"}}}, ["mode must be 'eval' or 'train'"]),
        ({"models": {"a": {"spec": "a:a", "modules": {"x": {"peak": "1 MB"}}}}}, ["'peak'"]),
        ({"models": {"a": {"spec": "a:a", "modules": {"x": "2 G"}}}}, ["must be a table"]),
        ({"jobs": 0}, ["jobs must be a whole number above 0"]),
        ({"jobs": True}, ["jobs must be a whole number above 0"]),
        ({"timeout": -1.5}, ["timeout must be a number above 0"]),
        ({"timeout": float("nan")}, ["timeout must be a number above 0"]),
        ({"limits": {"flops": "5%"}}, ["'5%' is not a limit"]),
    ],
)
def test_what_makes_no_sense_is_said(table: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(table)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["flops", "+1%"])
def test_a_limit_option_without_a_metric(text: str) -> None:
    with pytest.raises(UsageError, match="METRIC=LIMIT"):
        read({}).with_limits((text,))


def test_selection() -> None:
    config = read({"models": {"a": {"spec": "x:a"}, "b": {"spec": "x:b"}}})
    assert [model.name for model in config.select(())] == ["a", "b"]
    assert [model.name for model in config.select(("b", "b", "x:c"))] == ["b", "x:c"]
    assert config.select(("x:c",))[0].spec == "x:c"


def test_selection_of_a_bare_name_without_any_configured_model() -> None:
    assert default_config(Path()).select(("resnet18",))[0].spec == "resnet18"


def test_nothing_to_check() -> None:
    with pytest.raises(UsageError, match="no model is configured"):
        read({}).select(())


@pytest.mark.parametrize(
    ("name", "hint"), [("vit_tny", "did you mean 'vit_tiny'?"), ("zzz", "configured are vit_tiny")]
)
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read({"models": {"vit_tiny": {"spec": "x:a"}}}).select((name,))
    assert caught.value.hint == hint
