"""Known devices: sizes as the data sheets say, each with its source."""

from __future__ import annotations

import pytest

from torchstat_cli.devices import DEVICES, find_device
from torchstat_cli.errors import UsageError


def test_sizes_and_sources() -> None:
    assert find_device("A100-80GB").nbytes == 80 * 10**9
    assert find_device("rtx4090").gigabytes == 24
    for device in DEVICES.values():
        assert device.source.startswith("https://www.")
        assert 8 <= device.gigabytes <= 512


@pytest.mark.parametrize(
    ("name", "hint"), [("a100", "a100-80gb or a100-40gb"), ("l4s", "did you mean"), ("x", "--budget")]
)
def test_an_unknown_name_gets_a_remedy(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"no GPU named '{name}'") as caught:
        find_device(name)
    assert hint in str(caught.value.hint)
