"""torchvision's own table: parameters exactly, multiply-accumulates to every printed digit, for all of its weights."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.libraries import import_torchvision, torchvision_operators
from torchstat_cli.loading import InputSpec, find_model
from torchstat_cli.records import Profile
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.settings import Settings

pytestmark = pytest.mark.libraries

Row = dict[str, str]
_TABLE = Path(__file__).with_name("torchvision.csv")
_SAME = ("builder", "params", "gmacs", "size")


def _rows(*kinds: str) -> list[Row]:
    """Rows of the kinds; several weights of one architecture and size are one case."""
    with _TABLE.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in kinds]
    return list({tuple(row[name] for name in _SAME): row for row in reversed(rows)}.values())[::-1]


def _id(row: Row) -> str:
    return f"{row['builder']}-{row['size']}-{row['gmacs']}"


def _arguments(row: Row) -> dict[str, object]:
    """What the published weights were built with, where it is not the builder's default."""
    if row["builder"].startswith("vit_"):
        return {"image_size": int(row["size"])}
    if row["builder"].endswith("googlenet"):
        return {"aux_logits": False}  # the weights' auxiliary heads are dropped
    if row["kind"] == "segmentation":
        auxiliary: dict[str, object] = {} if row["builder"].startswith("lraspp") else {"aux_loss": True}
        return {"num_classes": int(row["classes"]), **auxiliary}
    if row["kind"] == "detection":
        return {"num_classes": int(row["classes"])}
    return {}


def _profile(row: Row) -> Profile:
    size = int(row["size"])
    square = (InputSpec(None, (1, 3, size, size), None, None),)
    given = square if row["kind"] in ("classification", "quantization") else None
    source = find_model(f"torchvision/{row['builder']}", _arguments(row))
    return profile_spec(source, given, Settings(device="meta"))[0]


def _printed(madds: int) -> float:
    """In the table's unit, rounded as it is."""
    return round(madds / 1e9, 3)


def test_the_table_is_complete() -> None:
    kinds = ("classification", "quantization", "segmentation", "video", "optical_flow", "detection")
    with _TABLE.open(encoding="utf-8") as file:
        assert sum(1 for row in csv.DictReader(file) if row["kind"] in kinds) == 166
    assert len(_rows(*kinds)) == 128


@pytest.mark.parametrize(
    "row", _rows("classification", "quantization", "segmentation", "video", "optical_flow"), ids=_id
)
def test_params_and_gmacs(row: Row) -> None:
    import_torchvision()
    profile = _profile(row)
    assert profile.total.params == int(row["params"])
    assert _printed(profile.total.madds) == float(row["gmacs"])
    assert profile.unknown == ()
    assert profile.provenance.assumptions == ()


# A detection head runs once per region that the trained weights found in torchvision's test image. An assumed run
# keeps as many regions as the model can: ours is an upper bound, and the difference is whole regions.
_BOX_HEAD = 256 * 7 * 7 * 1024 + 1024 * 1024 + 1024 * 5 * 91  # two linear layers, then class and box of 91 classes
_KEYPOINT_HEAD = (256 + 7 * 512) * 512 * 9 * 14 * 14 + 512 * 17 * 16 * 14 * 14  # eight 3x3 convolutions; 4x4 upsampling
_MASK_HEAD = 4 * 256 * 256 * 9 * 14 * 14 + 256 * 256 * 4 * 14 * 14 + 256 * 91 * 28 * 28  # four 3x3, 2x2 upwards, 1x1
_MISSING_REGIONS = {
    ("fasterrcnn_mobilenet_v3_large_320_fpn", "COCO_V1"): 150 * _BOX_HEAD,  # its proposals all fall under 5 %
    ("fasterrcnn_mobilenet_v3_large_fpn", "COCO_V1"): 1000 * _BOX_HEAD,
    ("keypointrcnn_resnet50_fpn", "COCO_LEGACY"): 100 * _KEYPOINT_HEAD,
    ("keypointrcnn_resnet50_fpn", "COCO_V1"): 99 * _KEYPOINT_HEAD,
    ("maskrcnn_resnet50_fpn", "COCO_V1"): 100 * _MASK_HEAD,
}


@pytest.mark.parametrize("row", _rows("detection"), ids=_id)
def test_detection(row: Row) -> None:
    with torchvision_operators():
        profile = _profile(row)
    # Published backbones freeze their norms into buffers; built without weights they are trainable.
    frozen = not row["builder"].endswith("_v2") and not row["builder"].startswith("ssd")
    norms = sum(
        entry.params for entry in profile.rows if entry.type == "BatchNorm2d" and entry.path.startswith("backbone.body")
    )
    assert profile.total.params - (norms if frozen else 0) == int(row["params"])
    extra = _MISSING_REGIONS.get((row["builder"], row["weights"]), 0)
    assert _printed(profile.total.madds - extra) == float(row["gmacs"])
    assert profile.unknown == ()
    assert any("non-maximum suppression" in assumption for assumption in profile.provenance.assumptions)
