"""Write safetensors files by hand, as the format's page says: no library is needed to read or to make one."""

from __future__ import annotations

import json
import struct
from pathlib import Path

Tensor = tuple[str, tuple[int, ...], bytes]  # dtype, shape, data


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> Path:
    """A file of these tensors."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def zeros(dtype: str, *shape: int) -> Tensor:
    """A tensor of nothing but zeros."""
    sizes = {"F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "I8": 1, "F8_E4M3": 1}
    count = 1
    for size in shape:
        count *= size
    return dtype, shape, bytes(count * sizes[dtype])
