"""Amounts as people read and write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstat_cli.units import (
    format_bytes,
    format_bytes_in,
    format_count,
    format_count_in,
    format_seconds,
    format_shape,
    format_share,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.000 k"),
        (1234, "1.234 k"),
        (12_345, "12.35 k"),
        (123_456, "123.5 k"),
        (999_499, "999.5 k"),
        (999_999, "1.000 M"),  # not 1000 k
        (9_999_500_001, "10.00 G"),  # five digits would be 10.000
        (11_689_512, "11.69 M"),
        (1_814_073_344, "1.814 G"),
        (405_853_388_800, "405.9 G"),
        (10**15, "1.000 P"),
        (5 * 10**18, "5.000 E"),
        (-1500, "-1.500 k"),
    ],
)
def test_counts(value: int, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.000 KiB"),
        (1_048_575, "1.000 MiB"),
        (51_116_224, "48.75 MiB"),
        (3 * 1024**3, "3.000 GiB"),
        (1024**5, "1.000 PiB"),
    ],
)
def test_bytes(value: int, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 ns"), (3e-9, "3 ns"), (2.5e-6, "2.50 us"), (0.0123, "12.30 ms"), (0.999999, "1.00 s"), (61.25, "61.25 s")],
)
def test_seconds(value: float, text: str) -> None:
    assert format_seconds(value) == text


def test_shares() -> None:
    assert format_share(1, 3) == "33.3 %"
    assert format_share(0, 3) == "0.0 %"
    assert format_share(0, 0) == "-"


def test_shapes() -> None:
    assert format_shape((1, 64, 56, 56)) == "1x64x56x56"
    assert format_shape([0]) == "0"
    assert format_shape(()) == "()"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1234", 1234),
        ("11_689_512", 11_689_512),
        ("11,689,512", 11_689_512),
        ("250k", 250_000),
        ("250 K", 250_000),
        ("2.5k", 2500),
        ("3 G", 3_000_000_000),
        ("1e3", 1000),
        ("1.5e-1 M", 150_000),
        ("64 MiB", 64 * 1024**2),
        ("64mib", 64 * 1024**2),
        ("1 KB", 1000),
        ("8 GB", 8 * 10**9),
        ("12 B", 12),
        (" 7 T ", 7 * 10**12),
        ("0.1 k", 100),  # exact, where a float gives 100.00000000000001
        ("9007199254740993", 9_007_199_254_740_993),  # 2 ** 53 + 1: no float on the way
    ],
)
def test_amounts_are_read_exactly(text: str, value: int) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "k", "-3", "3 4", "1.2.3", "3 apples", "0x10", "nan", "inf", "+1%", "3 Gi"])
def test_texts_that_are_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an amount|unknown unit") as caught:
        parse_quantity(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["1e31", "1e999999999", "9" * 5000, "1e20 E", "1" + "0" * 28 + " k"])
def test_more_than_any_model_takes(text: str) -> None:
    with pytest.raises(ValueError, match="is more than any model takes") as caught:
        parse_quantity(text)
    assert len(str(caught.value)) < 100


def test_an_amount_that_rounds_to_nothing() -> None:
    assert parse_quantity("1e-999999999") == 0


def test_a_long_text_is_quoted_in_part() -> None:
    with pytest.raises(ValueError, match="is not an amount") as caught:
        parse_quantity("x" * 100_000)
    assert len(str(caught.value)) < 150


@settings(max_examples=200, derandomize=True, database=None)
@given(st.integers(0, 10**18))
def test_four_digits_are_right_to_four_digits(value: int) -> None:
    for text in (format_count(value), format_bytes(value)):
        assert abs(parse_quantity(text) - value) <= value * 0.0005 + 1
        number = text.split()[0]
        assert len(number.replace(".", "")) <= 4


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (11689512, "M", "11.69 M"),
        (11689512, "G", "0.01169 G"),
        (4089184256, "G", "4.089 G"),
        (3230000000000, "G", "3230 G"),
        (128, "G", "<0.000001 G"),
        (0, "M", "0.000 M"),
        (1, "k", "0.001000 k"),
    ],
)
def test_counts_in_a_fixed_unit(value: int, unit: str, expected: str) -> None:
    assert format_count_in(value, unit) == expected


def test_bytes_in_a_fixed_unit_are_binary() -> None:
    assert format_bytes_in(51116224, "M") == "48.75 MiB"
    assert format_bytes_in(51116224, "G") == "0.04761 GiB"
