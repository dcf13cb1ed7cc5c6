"""Pooling over a sequence, with and without padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchstat_cli.activations.saving.pooling import check_format, reformat
from torchstat_cli.errors import SelectionError

# Two rows of three tokens of width 1; the second row's last token is padding.
VALUES = np.array([[[1.0], [2.0], [6.0]], [[3.0], [5.0], [100.0]]], dtype=np.float32)
RIGHT = np.array([[1, 1, 1], [1, 1, 0]])
LEFT = np.array([[1, 1, 1], [0, 1, 1]])


@pytest.mark.parametrize(
    ("emb_format", "mask", "expected"),
    [
        ("mean", None, [3.0, 36.0]),
        ("mean", RIGHT, [3.0, 4.0]),
        ("mean", LEFT, [3.0, 52.5]),
        ("LT", None, [6.0, 100.0]),
        ("LT", RIGHT, [6.0, 5.0]),
        ("FT", None, [1.0, 3.0]),
        ("FT", LEFT, [1.0, 5.0]),
        ("custom", None, [2.0, 5.0]),
        ("custom", LEFT, [2.0, 100.0]),
    ],
)
def test_by_hand(emb_format: str, mask: object, expected: list[float]) -> None:
    for values in (VALUES, torch.from_numpy(VALUES)):
        pooled = reformat(values, emb_format, custom_position=1, mask=mask)
        assert type(pooled) is type(values)
        assert pooled.tolist() == [[value] for value in expected]


def test_full_is_the_same_object() -> None:
    assert reformat(VALUES, "full") is VALUES


def test_padding_may_hold_nan() -> None:
    values = VALUES.copy()
    values[1, 2] = np.nan
    assert reformat(values, "mean", mask=RIGHT)[1].tolist() == [4.0]


def test_a_mask_of_another_shape_is_not_this_outputs() -> None:
    assert np.array_equal(reformat(VALUES, "mean", mask=np.ones((2, 5))), VALUES.mean(axis=1))
    assert np.array_equal(reformat(VALUES[..., 0], "LT", mask=RIGHT[:, :1]), VALUES[:, -1, 0])


def test_other_axes() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(reformat(values, "mean", sequence_axis=2), values.mean(axis=2))
    assert np.array_equal(reformat(values, "LT", sequence_axis=0), values[-1])
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])
    expected = np.stack([values[0, :, 2], values[1, :, 1]])
    assert np.array_equal(reformat(values, "LT", sequence_axis=2, mask=mask), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float16])
def test_choosing_a_token_moves_bits(dtype: torch.dtype) -> None:
    values = torch.randn(2, 3, 4).to(dtype)
    chosen = reformat(values, "LT", mask=RIGHT)
    assert chosen.dtype == dtype
    expected = torch.stack([values[0, 2].float(), values[1, 1].float()])
    assert torch.equal(chosen.float(), expected)


def test_bad_requests() -> None:
    with pytest.raises(SelectionError, match="no embedding format 'max'"):
        check_format("max", None)
    with pytest.raises(SelectionError, match="no token"):
        check_format("custom", None)
    with pytest.raises(ValueError, match="row 1 of the mask is all padding"):
        reformat(VALUES, "mean", mask=np.array([[1, 1, 1], [0, 0, 0]]))
    with pytest.raises(IndexError, match="row 1 has 2 real tokens"):
        reformat(VALUES, "custom", custom_position=2, mask=RIGHT)
    with pytest.raises(IndexError):
        reformat(VALUES, "custom", custom_position=9)
