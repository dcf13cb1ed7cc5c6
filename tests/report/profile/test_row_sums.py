from __future__ import annotations

from tests.report.profiles import TINY, timed
from torchstat_cli.report.profile.row_sums import by_type, sum_rows, total_duration


def test_types_in_order_of_first_appearance() -> None:
    groups = by_type(TINY.rows)
    assert [(group.type, group.modules, group.calls) for group in groups] == [
        ("Conv2d", 1, 1),
        ("ReLU", 1, 1),
        ("TinyNet", 1, 1),
        ("Linear", 2, 1),
    ]
    assert (groups[3].params, groups[3].madds, groups[3].flops) == (1290 + 10, 2560, 5140)


def test_sum_of_rows() -> None:
    sums = sum_rows(TINY.rows[:2], lower_bound=True)
    assert (sums.params, sums.madds, sums.flops, sums.mem_read) == (224, 6912, 14080 + 256, 1280 + 1024)
    assert sums.lower_bound
    assert sums.duration_s is None


def test_operators_have_no_params_to_sum() -> None:
    assert sum_rows(TINY.operators, lower_bound=False).params == 0


def test_durations_of_untimed_rows_are_skipped() -> None:
    assert total_duration(timed().rows) == 0.001 + 0.001 + 0.002 + 0.004
    assert total_duration(TINY.rows) is None
