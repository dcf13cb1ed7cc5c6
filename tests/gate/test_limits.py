from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstat_cli.errors import ConfigError
from torchstat_cli.gate.limits import (
    AbsoluteGrowth,
    Ceiling,
    Limit,
    RelativeGrowth,
    parse_limits,
    spell_limit,
    spell_limits,
)
from torchstat_cli.gate.metrics import METRICS

FLOPS, MEMORY = METRICS["flops"], METRICS["memory"]


@pytest.mark.parametrize(
    ("written", "metric", "limit"),
    [
        ("+1%", FLOPS, RelativeGrowth(Decimal(1))),
        (" + 0.5 % ", FLOPS, RelativeGrowth(Decimal("0.5"))),
        ("+20 M", FLOPS, AbsoluteGrowth(20_000_000)),
        ("+20M", FLOPS, AbsoluteGrowth(20_000_000)),
        ("+0", FLOPS, AbsoluteGrowth(0)),
        ("3 G", FLOPS, Ceiling(3_000_000_000)),
        ("2.5k", FLOPS, Ceiling(2_500)),
        ("11_689_512", FLOPS, Ceiling(11_689_512)),
        (1234, FLOPS, Ceiling(1234)),
        (0, FLOPS, Ceiling(0)),
        ("0", FLOPS, Ceiling(0)),
        ("64 MiB", MEMORY, Ceiling(64 * 1024**2)),
        ("64 mb", MEMORY, Ceiling(64_000_000)),
        ("+1 kB", MEMORY, AbsoluteGrowth(1000)),
        ("512", MEMORY, Ceiling(512)),
    ],
)
def test_grammar(written: Any, metric: Any, limit: Limit) -> None:
    assert parse_limits(written, metric) == (limit,)


def test_lists_and_off() -> None:
    assert parse_limits(["+1%", "3 G"], FLOPS) == (RelativeGrowth(Decimal(1)), Ceiling(3_000_000_000))
    assert parse_limits("off", FLOPS) == ()
    assert parse_limits([], FLOPS) == ()


@pytest.mark.parametrize(
    ("written", "metric", "words"),
    [
        ("5%", FLOPS, '"+5%"'),
        ("-5%", FLOPS, "not a limit"),
        ("", FLOPS, "not a limit"),
        ("+", FLOPS, "not a limit"),
        ("3 Gigaflops", FLOPS, "not a limit"),
        ("64 MiB", FLOPS, "k M G T"),
        ("64 M", MEMORY, "MiB"),
        (True, FLOPS, "not a limit"),
        (-3, FLOPS, "not a limit"),
        (2.5, FLOPS, "not a limit"),
        (None, FLOPS, "not a limit"),
        ({"max": 3}, FLOPS, "not a limit"),
        (["+1%", "x"], FLOPS, "'x'"),
        ([["+1%"]], FLOPS, "not a limit"),
        (10**31, FLOPS, "not a limit"),
        ("1e31", FLOPS, "not a limit"),
        ("+1" + "0" * 31 + "%", FLOPS, "not a limit"),
        ("\x1b[2J" + "x" * 1000, FLOPS, "'\\x1b[2Jxxx"),
    ],
)
def test_what_is_no_limit(written: Any, metric: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_limits(written, metric)
    assert words in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("limit", "baseline", "bound"),
    [
        (RelativeGrowth(Decimal(1)), 1000, 1010),
        (RelativeGrowth(Decimal(1)), 150, 151),  # 151.5: 151 passes, 152 does not
        (RelativeGrowth(Decimal("0.1")), 3 * 10**18, 3 * 10**18 + 3 * 10**15),  # no float would be exact here
        (RelativeGrowth(Decimal(50)), 0, 0),
        (AbsoluteGrowth(20), 100, 120),
        (Ceiling(64), 100, 64),
    ],
)
def test_bounds(limit: Limit, baseline: int, bound: int) -> None:
    assert limit.bound(baseline) == bound


@pytest.mark.parametrize(
    ("limit", "metric", "text"),
    [
        (Ceiling(64 * 1024**2), MEMORY, "64 MiB"),
        (Ceiling(64 * 10**6), MEMORY, "64 MB"),
        (Ceiling(3 * 10**9), FLOPS, "3 G"),
        (Ceiling(2_507_366_400), FLOPS, "2507366400"),
        (AbsoluteGrowth(2_500), FLOPS, "+2.5 k"),
        (AbsoluteGrowth(0), MEMORY, "+0 B"),
        (Ceiling(26_856), MEMORY, "26856 B"),
        (RelativeGrowth(Decimal("1.50")), FLOPS, "+1.5%"),
        (RelativeGrowth(Decimal(100)), FLOPS, "+100%"),
    ],
)
def test_shortest_exact_spelling(limit: Limit, metric: Any, text: str) -> None:
    assert spell_limit(limit, metric) == text


def test_several_limits_in_one_cell() -> None:
    assert spell_limits(parse_limits(["+1%", "3 G"], FLOPS), FLOPS) == "+1%, 3 G"
    assert spell_limits((), FLOPS) == "off"


amounts = st.integers(0, 10**18) | st.builds(lambda n, power: n * 1024**power, st.integers(0, 4096), st.integers(0, 4))
percents = st.decimals(0, 10_000, places=3).map(RelativeGrowth)
limits = percents | amounts.map(AbsoluteGrowth) | amounts.map(Ceiling)


@given(limit=limits, metric=st.sampled_from(list(METRICS.values())))
def test_spellings_round_trip(limit: Limit, metric: Any) -> None:
    assert parse_limits(spell_limit(limit, metric), metric) == (limit,)


@given(
    number=st.integers(0, 9999), unit=st.sampled_from(["", "k", "M", "G", "T"]), space=st.sampled_from(["", " ", "  "])
)
def test_unit_spellings_mean_powers_of_a_thousand(number: int, unit: str, space: str) -> None:
    factor = 1000 ** ["", "k", "M", "G", "T"].index(unit)
    assert parse_limits(f"{number}{space}{unit}", FLOPS) == (Ceiling(number * factor),)


@given(baseline=st.integers(0, 10**15), percent=st.decimals(0, 500, places=2))
def test_the_bound_is_the_largest_value_that_passes(baseline: int, percent: Decimal) -> None:
    bound = RelativeGrowth(percent).bound(baseline)
    hundredfold = baseline * (10_000 + int(percent * 100))
    assert bound * 10_000 <= hundredfold < (bound + 1) * 10_000
