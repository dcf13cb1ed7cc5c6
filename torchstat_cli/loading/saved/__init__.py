"""Saved files as specs: programs and pickled modules that run, and weights that can only be counted."""

from __future__ import annotations

import os
from collections.abc import Mapping

from torchstat_cli.errors import SpecError
from torchstat_cli.loading.saved.kinds import kind_of, refuse_foreign
from torchstat_cli.loading.source import ModelSource
from torchstat_cli.records.weights import Weights

__all__ = ["is_saved_file", "saved_model", "weights_in"]


def is_saved_file(spec: str) -> bool:
    """Whether a spec is called like a saved file: ``weights.pt``, ``model.safetensors``."""
    return ":" not in spec and kind_of(spec) is not None


def weights_in(spec: str, *, allow_pickle: bool = False) -> Weights | None:
    """The weights in a file that holds nothing else; None where the spec names something that can be run, or no file.

    Raises:
        SpecError: the file cannot be read, or is of another framework.
    """
    if not is_saved_file(spec):
        return None
    found = _read(spec, allow_pickle)
    return found if isinstance(found, Weights) else None


def saved_model(spec: str, arguments: Mapping[str, object], *, allow_pickle: bool = False) -> ModelSource:
    """The model in a saved file.

    Raises:
        SpecError: there is no such file, it cannot be read, or it holds weights alone.
    """
    if arguments:
        raise SpecError(f"{spec} is a finished model and takes no arguments", hint="leave --arg out")
    found = _read(spec, allow_pickle)
    if isinstance(found, ModelSource):
        return found
    raise SpecError(
        f"{spec} holds weights alone ({found.kind}): {found.params:,} params in {found.nbytes:,} bytes, and no code "
        "that could be run",
        hint=f"`modelstat {spec}` lists them; for FLOPs name the code that uses them, as package.module:factory",
    )


def _read(spec: str, allow_pickle: bool) -> Weights | ModelSource:
    path = os.path.expanduser(spec)
    refuse_foreign(spec, path)
    if kind_of(spec) == "safetensors":
        from torchstat_cli.loading.saved.safetensors_files import read_safetensors

        return read_safetensors(spec, path)
    from torchstat_cli.loading.saved.torch_files import read_torch_file

    return read_torch_file(spec, path, allow_pickle=allow_pickle)
