"""Profiles of small models whose every number can be computed by hand.

``TinyNet``, float32, input (2, 3, 4, 4), all sizes in bytes (4 per element):

    features.0  Conv2d(3, 8, 3, padding=1), frozen   8·3·3·3 + 8 = 224 params; output (2, 8, 4, 4), 256 elements
                MAdds 256·27 = 6912; FLOPs 2·6912 + 256 (bias) = 14080; reads 96·4 + 224·4 = 1280, writes 1024
    features.1  ReLU                                 256 FLOPs, reads 1024, writes 1024
    (direct)    x * scale, a parameter of 1 element  256 FLOPs, reads 1028, writes 1024; then a free flatten
    head        Linear(128, 10)                      1290 params; MAdds 2·10·128 = 2560; FLOPs 5120 + 20 = 5140
                                                     reads 256·4 + 1290·4 = 6184, writes 80
    aux         Linear(4, 2), never called           10 params
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torchstat_cli.records import (
    SUMMED,
    InputRecord,
    ModuleRecord,
    OperatorTotal,
    Profile,
    Provenance,
    Totals,
    UnknownOperator,
)

IMAGE, MAP, FLAT, LOGITS = (2, 3, 4, 4), (2, 8, 4, 4), (2, 128), (2, 10)


def module(path: str, type: str, **fields: Any) -> ModuleRecord:
    """A row in which everything that is not given is nothing."""
    nothing: dict[str, Any] = {
        "kind": "leaf",
        "calls": 1,
        "input_shape": (),
        "output_shape": (),
        "dtype": "float32",
        **dict.fromkeys(SUMMED, 0),
    }
    return ModuleRecord(path=path, type=type, **{**nothing, **fields})


PROVENANCE = Provenance(
    spec="tiny",
    resolved="sample_models.tiny:tiny",
    class_name="TinyNet",
    inputs=(InputRecord(name=None, shape=IMAGE, dtype="float32"),),
    placement="meta",
    mode="eval",
    assumptions=(),
    torch="2.13.0",
    version="0.1.0",
    rules=1,
)

TINY = Profile(
    provenance=PROVENANCE,
    total=Totals(
        params=1525,
        trainable_params=1301,
        buffers=0,
        param_bytes=6100,
        buffer_bytes=0,
        madds=9472,
        flops=19732,
        mem_read=9516,
        mem_write=3152,
        memory=3152,
    ),
    rows=(
        module(
            "features.0",
            "Conv2d",
            input_shape=(IMAGE,),
            output_shape=(MAP,),
            params=224,
            madds=6912,
            flops=14080,
            mem_read=1280,
            mem_write=1024,
            memory=1024,
            attrs={"kernel_size": (3, 3), "groups": 1},
        ),
        module(
            "features.1",
            "ReLU",
            input_shape=(MAP,),
            output_shape=(MAP,),
            flops=256,
            mem_read=1024,
            mem_write=1024,
            memory=1024,
        ),
        module(
            "",
            "TinyNet",
            kind="direct",
            input_shape=(IMAGE,),
            output_shape=(LOGITS,),
            params=1,
            trainable_params=1,
            flops=256,
            mem_read=1028,
            mem_write=1024,
            memory=1024,
        ),
        module(
            "head",
            "Linear",
            input_shape=(FLAT,),
            output_shape=(LOGITS,),
            params=1290,
            trainable_params=1290,
            madds=2560,
            flops=5140,
            mem_read=6184,
            mem_write=80,
            memory=80,
            attrs={"in_features": 128, "out_features": 10},
        ),
        module("aux", "Linear", calls=0, dtype=None, params=10, trainable_params=10),
    ),
    operators=(
        OperatorTotal("aten.conv2d", 1, madds=6912, flops=14080, mem_read=1280, mem_write=1024),
        OperatorTotal("aten.relu", 1, madds=0, flops=256, mem_read=1024, mem_write=1024),
        OperatorTotal("aten.mul", 1, madds=0, flops=256, mem_read=1028, mem_write=1024),
        OperatorTotal("aten.flatten", 1, madds=0, flops=0, mem_read=0, mem_write=0),
        OperatorTotal("aten.linear", 1, madds=2560, flops=5140, mem_read=6184, mem_write=80),
    ),
    unknown=(),
    never_called=("aux",),
    containers=(module("features", "Sequential", input_shape=(IMAGE,), output_shape=(MAP,)),),
)


def timed() -> Profile:
    """TINY on a clock that took 1, 1, 2 and 4 ms."""
    seconds = (0.001, 0.001, 0.002, 0.004, None)
    rows = tuple(row._replace(duration_s=time) for row, time in zip(TINY.rows, seconds, strict=True))
    return replace(TINY, rows=rows, total=replace(TINY.total, duration_s=0.008))


def with_unknown() -> Profile:
    """TINY whose ReLU also ran an operator that has no formula."""
    unknown = UnknownOperator("mylib.op", 2, ("features.1",))
    operators = (*TINY.operators, OperatorTotal("mylib.op", 2))
    return replace(TINY, unknown=(unknown,), operators=operators, total=replace(TINY.total, lower_bound=True))


def renamed(path: str) -> Profile:
    """TINY whose head bears another name."""
    rows = tuple(row._replace(path=path) if row.path == "head" else row for row in TINY.rows)
    return replace(TINY, rows=rows)


def tied() -> Profile:
    """Embedding(10, 4) with a head of the same weight: 40 params, counted once; one token, 40 MAdds, 80 FLOPs."""
    rows = (
        module("embed", "Embedding", input_shape=((1, 1),), output_shape=((1, 1, 4),), params=40, trainable_params=40,
               mem_read=24, mem_write=16, memory=16),
        module("lm_head", "Linear", calls=2, input_shape=((1, 1, 4),), output_shape=((1, 1, 10), (1, 4)), madds=80,
               flops=160, mem_read=352, mem_write=80, memory=80, shared_with="embed"),
    )  # fmt: skip
    total = Totals(
        params=40, trainable_params=40, buffers=0, param_bytes=160, buffer_bytes=0, madds=80, flops=160,
        mem_read=376, mem_write=96, memory=96,
    )  # fmt: skip
    return replace(TINY, rows=rows, total=total, operators=(), never_called=(), containers=())
