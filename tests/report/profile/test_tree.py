from __future__ import annotations

from dataclasses import replace

from tests.report.profiles import TINY, module, timed, with_unknown
from torchstat_cli.records import SUMMED
from torchstat_cli.report.profile.tree import branches


def test_containers_come_before_what_they_hold() -> None:
    lines = [(branch.depth, branch.row.path, branch.row.type, branch.row.kind) for branch in branches(TINY)]
    assert lines == [
        (0, "", "TinyNet", "subtree"),
        (1, "", "TinyNet", "direct"),
        (1, "features", "Sequential", "subtree"),
        (2, "features.0", "Conv2d", "leaf"),
        (2, "features.1", "ReLU", "leaf"),
        (1, "head", "Linear", "leaf"),
        (1, "aux", "Linear", "leaf"),
    ]


def test_children_add_up_to_their_container_and_the_root_to_the_totals() -> None:
    root, direct, features, conv, relu, head, aux = (branch.row for branch in branches(TINY))
    for column in SUMMED:
        values = [getattr(row, column) for row in (direct, features, head, aux)]
        assert getattr(root, column) == getattr(TINY.total, column) == sum(values)
        assert getattr(features, column) == getattr(conv, column) + getattr(relu, column)


def test_containers_have_the_time_of_their_contents() -> None:
    assert branches(timed())[2].row.duration_s == 0.002
    assert branches(TINY)[0].row.duration_s is None


def test_lower_bounds_reach_the_root_but_not_the_neighbours() -> None:
    bounded = {(branch.row.path, branch.row.kind) for branch in branches(with_unknown()) if branch.is_bounded}
    assert bounded == {("", "subtree"), ("features", "subtree"), ("features.1", "leaf")}


def test_a_model_that_is_one_leaf() -> None:
    profile = replace(TINY, rows=(module("", "Linear"),), containers=())
    assert [(branch.depth, branch.row.kind) for branch in branches(profile)] == [(0, "leaf")]


def test_no_rows() -> None:
    assert [branch.row.type for branch in branches(replace(TINY, rows=(), containers=()))] == ["TinyNet"]


def test_containers_that_no_record_names() -> None:
    profile = replace(TINY, rows=(module("a.b.c", "Linear"),), containers=())
    assert [(branch.row.path, branch.row.type) for branch in branches(profile)] == [
        ("", "TinyNet"),
        ("a", ""),
        ("a.b", ""),
        ("a.b.c", "Linear"),
    ]
