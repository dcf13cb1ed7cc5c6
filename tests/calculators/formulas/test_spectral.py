"""Fourier transforms, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import flops, tensor


def spectrum(*shape: int) -> Any:
    return tensor(*shape, dtype="complex64")


def test_aten_transforms() -> None:
    assert flops("aten._fft_c2c", spectrum(3, 8), self=spectrum(3, 8), dim=(1,)) == 5 * 24 * 3
    assert flops("aten._fft_c2c", spectrum(4, 8), self=spectrum(4, 8), dim=(0, 1)) == 5 * 32 * 5
    assert flops("aten._fft_r2c", spectrum(3, 5), self=tensor(3, 8), dim=(1,)) == 180
    assert flops("aten._fft_c2r", tensor(3, 8), self=spectrum(3, 5), dim=(1,)) == 180


@pytest.mark.parametrize(
    ("name", "given", "out", "options", "expected"),
    [
        ("fft_fft", spectrum(3, 8), spectrum(3, 8), {"dim": -1}, 360),
        ("fft_fft", tensor(3, 8), spectrum(3, 8), {"dim": -1}, 180),
        ("fft_rfft", tensor(3, 8), spectrum(3, 5), {"dim": -1}, 180),
        ("fft_rfft", tensor(3, 6), spectrum(3, 5), {"dim": -1, "n": 8}, 180),
        ("fft_irfft", spectrum(3, 5), tensor(3, 8), {"dim": -1}, 180),
        ("fft_fft2", spectrum(2, 4, 8), spectrum(2, 4, 8), {"dim": (-2, -1)}, 5 * 64 * 5),
        ("fft_fftn", tensor(4, 8), spectrum(4, 8), {"dim": None, "s": None}, 5 * 32 * 5),
        ("fft_fftn", spectrum(2, 4, 8), spectrum(2, 4, 16), {"dim": None, "s": (16,)}, 5 * 128 * 4),
        ("fft_rfft2", tensor(2, 4, 8), spectrum(2, 4, 5), {"dim": (-2, -1)}, 800),
        ("fft_irfft2", spectrum(2, 4, 5), tensor(2, 4, 8), {"dim": (-2, -1)}, 800),
    ],
)
def test_framework_transforms(name: str, given: Any, out: Any, options: dict[str, Any], expected: int) -> None:
    assert flops(f"aten.{name}", out, self=given, **options) == expected


def test_other_lengths_round_up() -> None:
    # 5 * 3 * log2(3) = 23.77
    assert flops("aten._fft_c2c", spectrum(3), self=spectrum(3), dim=(0,)) == 24
    assert flops("aten._fft_c2c", spectrum(3, 1), self=spectrum(3, 1), dim=(1,)) == 0
