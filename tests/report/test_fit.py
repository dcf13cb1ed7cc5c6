from __future__ import annotations

import json
from dataclasses import replace

from tests.report.display import WIDE_NAMES, twin
from torchstat_cli.records import CLASSES, FitPoint, FitResult
from torchstat_cli.report.fit import render


def point(size: int, path: str, **held: int) -> FitPoint:
    by_class = tuple(held.get(name, 0) for name in CLASSES)
    return FitPoint(size, sum(by_class), by_class, path, "forward")


POINTS = (
    point(1, "features.0", parameter=262_144, activation=2_048),
    point(64, "", parameter=262_144, activation=131_072),
    point(512, "head", parameter=262_144, activation=1_048_576),
)
RESULT = FitResult("m:f", ("axis 0",), 500 * 1024, None, None, POINTS, POINTS[1], limit=1 << 20)

# 264192 / 1024 = 258.0, 264192 / 512000 = 51.6 %, 15 or 16 of 30 cells: 15.48; 393216 / 512000 = 76.8 %, 23.04 cells.
TABLE = """\
size       peak  of budget                                  most of it         at
   1  258.0 KiB     51.6 %  ###############                 parameter 99.2 %   features.0, forward
  64  384.0 KiB     76.8 %  #######################         parameter 66.7 %   (root), forward <- largest that fits
 512  1.250 MiB    256.0 %  ##############################  activation 80.0 %  head, forward
"""


def test_table() -> None:
    assert render(RESULT).split("\n\n")[0] + "\n" == TABLE


def test_wide_names_keep_columns_aligned() -> None:
    points = tuple(point(10**index, name, activation=1 << 4 * index) for index, name in enumerate(WIDE_NAMES))
    twins = tuple(replace(each, path=twin(each.path)) for each in points)
    wide, plain = (render(replace(RESULT, points=each, best=each[0])) for each in (points, twins))
    assert twin(wide) == plain


def test_a_name_moves_no_cursor() -> None:
    shown = render(replace(RESULT, points=(point(1, "a\x1b[2J\nb", input=1),)))
    assert "\x1b" not in shown
    assert r"a\x1b[2J\nb, forward" in shown


def test_json() -> None:
    report = json.loads(render(RESULT, "json"))
    assert report["largest"] == 64
    assert [each["fits"] for each in report["points"]] == [True, True, False]
