"""Known devices and the memory that their makers' data sheets give them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from torchstat_cli.errors import UsageError

_GIGABYTE = 10**9
# Data sheets say GB. Cards with HBM show more than as many 10^9 bytes to programs (an A100 of 40 GB shows 42.4 * 10^9),
# cards with GDDR and error correction about as many, a T4 1 % fewer: taken at its word, a size promises hardly more
# than is there.

_NVIDIA = "https://www.nvidia.com/en-us/data-center"
_GEFORCE = "https://www.nvidia.com/en-us/geforce/graphics-cards"
_A100 = (
    "https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/"
    "nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf"
)


@dataclass(frozen=True, slots=True)
class Device:
    """One kind of accelerator."""

    name: str  # as --gpu takes it
    gigabytes: int  # as the data sheet says, 10^9 bytes each
    source: str  # where the maker says so

    @property
    def nbytes(self) -> int:
        """The memory in bytes."""
        return self.gigabytes * _GIGABYTE


DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device("h200", 141, f"{_NVIDIA}/h200/"),
        Device("h100-80gb", 80, f"{_NVIDIA}/h100/"),
        Device("a100-80gb", 80, _A100),
        Device("a100-40gb", 40, _A100),
        Device("l40s", 48, f"{_NVIDIA}/l40s/"),
        Device("l4", 24, f"{_NVIDIA}/l4/"),
        Device("a10", 24, f"{_NVIDIA}/products/a10-gpu/"),
        Device("v100-32gb", 32, f"{_NVIDIA}/v100/"),
        Device("v100-16gb", 16, f"{_NVIDIA}/v100/"),
        Device("t4", 16, f"{_NVIDIA}/tesla-t4/"),
        Device("rtx4090", 24, f"{_GEFORCE}/40-series/rtx-4090/"),
        Device("rtx3090", 24, f"{_GEFORCE}/30-series/rtx-3090-3090ti/"),
        Device("mi300x", 192, "https://www.amd.com/en/products/accelerators/instinct/mi300/mi300x.html"),
    )
}
"""By name."""


def find_device(name: str) -> Device:
    """The device of that name.

    Raises:
        UsageError: it is not known.
    """
    key = name.strip().lower().replace(" ", "-").replace("_", "-")
    if key in DEVICES:
        return DEVICES[key]
    close = [known for known in DEVICES if known.startswith(f"{key}-")] or get_close_matches(key, DEVICES, n=3)
    names = " or ".join(close) if close else ", ".join(DEVICES)
    hint = f"{'did you mean' if close else 'known are'} {names}{'?' if close else '; or give --budget 24GiB'}"
    raise UsageError(f"no GPU named {name!r} is known", hint)
