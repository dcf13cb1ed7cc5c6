"""Which oneDNN torch was built with: releases differ in what their kernels hold."""

from __future__ import annotations

import re
from functools import cache

import torch

_NAMED = re.compile(r"MKL-DNN v(\d+)\.(\d+)")
_NEWEST_KNOWN = (3, 12)


@cache
def onednn_release() -> tuple[int, int]:
    """Major and minor number, as torch says it; those of the newest known release where torch says none."""
    found = _NAMED.search(torch.__config__.show())
    return (int(found[1]), int(found[2])) if found else _NEWEST_KNOWN
