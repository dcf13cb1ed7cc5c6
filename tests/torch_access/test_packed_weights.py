"""Quantized weights in the layouts of their libraries, with numbers of elements worked out by hand."""

from __future__ import annotations

import json
import struct

import pytest

from torchstat_cli.torch_access.packed_weights import Part, joined_weights

# A linear layer of 256 inputs and 512 outputs, in groups of 128 inputs.
INPUTS, OUTPUTS, GROUPS = 256, 512, 2
SIZES = {"int32": 4, "float16": 2, "float32": 4, "uint8": 1, "int8": 1, "int64": 8, "float8_e4m3fn": 1, "bfloat16": 2}


def part(dtype: str, *shape: int) -> Part:
    count = 1
    for size in shape:
        count *= size
    return Part(shape, dtype, count * SIZES[dtype])


STATE = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [OUTPUTS, INPUTS]}).encode()

LAYOUTS = {
    # GPTQ packs 8 inputs of 4 bits into a word; zeros are packed along the outputs.
    "GPTQ, 4 bits": {
        "l.qweight": part("int32", INPUTS // 8, OUTPUTS),
        "l.qzeros": part("int32", GROUPS, OUTPUTS // 8),
        "l.scales": part("float16", GROUPS, OUTPUTS),
        "l.g_idx": part("int32", INPUTS),
    },
    "GPTQ, 8 bits": {
        "l.qweight": part("int32", INPUTS // 4, OUTPUTS),
        "l.qzeros": part("int32", GROUPS, OUTPUTS // 4),
        "l.scales": part("float16", GROUPS, OUTPUTS),
    },
    "GPTQ, 3 bits": {
        "l.qweight": part("int32", INPUTS * 3 // 32, OUTPUTS),
        "l.qzeros": part("int32", GROUPS, OUTPUTS * 3 // 32),
        "l.scales": part("float16", GROUPS, OUTPUTS),
        "l.g_idx": part("int32", INPUTS),
    },
    "AWQ, 4 bits": {
        "l.qweight": part("int32", INPUTS, OUTPUTS // 8),
        "l.qzeros": part("int32", GROUPS, OUTPUTS // 8),
        "l.scales": part("float16", GROUPS, OUTPUTS),
    },
    "bitsandbytes, nf4": {
        "l.weight": part("uint8", INPUTS * OUTPUTS // 2, 1),
        "l.weight.absmax": part("uint8", INPUTS * OUTPUTS // 64),
        "l.weight.quant_map": part("float32", 16),
        "l.weight.nested_absmax": part("float32", 8),
        "l.weight.nested_quant_map": part("float32", 256),
        "l.weight.quant_state.bitsandbytes__nf4": Part((len(STATE),), "uint8", len(STATE)),
    },
    "bitsandbytes, 8 bits": {
        "l.weight": part("int8", OUTPUTS, INPUTS),
        "l.SCB": part("float32", OUTPUTS),
        "l.weight_format": part("uint8"),
    },
    "compressed-tensors, 4 bits": {
        "l.weight_packed": part("int32", OUTPUTS, INPUTS // 8),
        "l.weight_scale": part("bfloat16", OUTPUTS, GROUPS),
        "l.weight_shape": part("int64", 2),
    },
    "MXFP4, 4 bits": {
        "l.weight_blocks": part("uint8", OUTPUTS, INPUTS // 32, 16),
        "l.weight_scales": part("uint8", OUTPUTS, INPUTS // 32),
    },
    "fp8 with scales": {
        "l.weight": part("float8_e4m3fn", OUTPUTS, INPUTS),
        "l.weight_scale_inv": part("float32", 4, 2),
    },
}


def read(name: str) -> bytes:
    return STATE if "quant_state" in name else struct.pack("<2q", OUTPUTS, INPUTS)


@pytest.mark.parametrize("packing", LAYOUTS)
def test_layouts(packing: str) -> None:
    parts = {**LAYOUTS[packing], "l.bias": part("float16", OUTPUTS)}
    (weight,) = joined_weights(parts, read)
    assert (weight.packing, weight.numel, weight.name) == (packing, INPUTS * OUTPUTS, "l.weight")
    assert weight.nbytes == sum(stored.nbytes for stored in LAYOUTS[packing].values())
    assert set(weight.parts) == set(LAYOUTS[packing])


@pytest.mark.parametrize(
    "parts",
    [
        {"l.weight": part("float32", 4, 4)},
        {"l.weight": part("int8", 4, 4)},
        {"l.qweight": part("int32", 4, 4)},
        {"l.qweight": part("float32", 4, 4), "l.scales": part("float16", 2, 4)},
        {"l.qweight": part("int32", 4, 4), "l.scales": part("float16", 4)},
        {"l.qweight": part("int32", 0, 4), "l.scales": part("float16", 1, 0)},
        {"l.weight": part("float8_e4m3fn", 4, 4)},
        {"l.weight_packed": part("int32", 4, 4)},
        {"qweight": part("int32", 32, 512), "scales": part("float16", 2, 512)},
    ],
)
def test_what_is_no_packed_weight_stays(parts: dict[str, Part]) -> None:
    assert joined_weights(parts, read) == []


def test_a_broken_quant_state_is_not_believed() -> None:
    parts = LAYOUTS["bitsandbytes, nf4"]
    for content in (b"{", b'{"shape": 7}', b'{"shape": [1000000, 1000000]}', b'{"shape": ["a"]}'):
        (weight,) = joined_weights(parts, lambda name, content=content: content)  # type: ignore[misc]
        assert weight.numel == INPUTS * OUTPUTS
