"""What generating text costs: the prefill and the decoding steps."""

from __future__ import annotations

from dataclasses import dataclass

from torchstat_cli.records.work import Work


@dataclass(frozen=True, slots=True)
class GenerationPart(Work):
    """What one part of generating text costs."""

    name: str  # "prefill", "first decode", "last decode", "all decodes"
    steps: int  # forward calls


@dataclass(frozen=True, slots=True)
class GenerationProfile:
    """Prefill and decoding of a causal language model."""

    prompt: int  # tokens
    new: int  # tokens generated; the prefill gives the first
    batch: int  # sequences
    parts: tuple[GenerationPart, ...]
    cache_bytes: int  # of the key-value cache at the end
    observed: int  # decoding steps that were run; the others follow from them
