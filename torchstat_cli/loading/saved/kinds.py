"""What a saved file is, by its name and its first bytes; files of other frameworks are refused by their names."""

from __future__ import annotations

import os
from pathlib import Path

from torchstat_cli.errors import SpecError
from torchstat_cli.loading.failures import suggestion

_KINDS = {
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pt2"), "torch"),
    ".safetensors": "safetensors",
    ".safetensors.index.json": "safetensors",
}
_FROM_TORCH = (
    "profile the PyTorch model that it was made from, or keep that with torch.export.save(torch.export.export(model, "
    'inputs), "model.pt2"), which modelstat reads'
)
_FOREIGN = {
    ".onnx": ("an ONNX graph, which torch does not run", _FROM_TORCH),
    ".ort": ("a model of ONNX Runtime, which torch does not run", _FROM_TORCH),
    ".tflite": ("a TensorFlow Lite model, which torch does not run", _FROM_TORCH),
    ".engine": ("a TensorRT engine, which torch does not run", _FROM_TORCH),
    ".mlmodel": ("a Core ML model, which torch does not run", _FROM_TORCH),
    ".mlpackage": ("a Core ML model, which torch does not run", _FROM_TORCH),
    ".pte": ("an ExecuTorch program, which torch does not run", _FROM_TORCH),
    ".h5": ("a file of Keras or HDF5, which torch does not read", _FROM_TORCH),
    ".keras": ("a Keras model, which torch does not run", _FROM_TORCH),
    ".pb": ("a TensorFlow graph, which torch does not run", _FROM_TORCH),
    ".msgpack": ("a file of Flax weights, which torch does not read", _FROM_TORCH),
    ".gguf": ("a file of llama.cpp, which torch does not read", "profile the transformers model with hf/FOLDER"),
}
_LFS = b"version https://git-lfs"


def kind_of(spec: str) -> str | None:
    """ "torch", "safetensors" or "foreign" by the name of a file; None for every other name."""
    lowered = spec.lower()
    if any(lowered.endswith(suffix) for suffix in _FOREIGN):
        return "foreign"
    return next((kind for suffix, kind in _KINDS.items() if lowered.endswith(suffix)), None)


def refuse_foreign(spec: str, path: str) -> None:
    """Refuse what is no file that can be read here.

    Raises:
        SpecError: there is no such file, or it belongs to another framework, or is a stand-in for a file.
    """
    for suffix, (words, remedy) in _FOREIGN.items():
        if spec.lower().endswith(suffix):
            raise SpecError(f"{spec} is {words}", hint=remedy)
    if os.path.isdir(path):
        raise SpecError(
            f"{spec} is a folder, not a saved file", hint=f"name a file in it, or hf/{spec} for a config.json"
        )
    if not os.path.isfile(path):
        folder = Path(path).parent
        known = [entry.name for entry in folder.iterdir() if kind_of(entry.name)] if os.path.isdir(folder) else []
        raise SpecError(
            f"no file {spec}{suggestion(os.path.basename(path), known)}", hint=f"relative paths start at {os.getcwd()}"
        )
    try:
        with open(path, "rb") as file:
            start = file.read(len(_LFS))
    except OSError as error:
        raise SpecError(f"{spec} cannot be read: {error.strerror}", hint="check its permissions") from error
    if not start:
        raise SpecError(f"{spec} is empty", hint="save or download it again")
    if start == _LFS:
        raise SpecError(f"{spec} is a pointer of Git LFS, not the file itself", hint="fetch it: git lfs pull")
