"""Write activations to `<folder>/<format>/<id>/<module>.<ext>`, the layout of activation-extractor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from torchstat_cli.activations.saving.clearing import delete_saved
from torchstat_cli.activations.saving.file_names import file_name
from torchstat_cli.errors import OutputError, SelectionError
from torchstat_cli.replacing import replace_file

SAVE_METHODS = {"numpy_compressed": ".npz", "numpy": ".npy", "safetensors": ".safetensors"}
_DTYPES = "dtypes.json"


def check_save_method(save_method: str) -> None:
    """Raise for a way of saving that does not exist.

    Raises:
        SelectionError: a ``ValueError``.
    """
    if save_method not in SAVE_METHODS:
        raise SelectionError(f"there is no save method {save_method!r}", f"choose one of {', '.join(SAVE_METHODS)}")


def check_id(output_folder: str | Path, emb_format: str, output_id: str) -> Path:
    """The folder of one id, which need not exist yet.

    Raises:
        OutputError: the id, or a symbolic link on the way, leads out of the folder.
    """
    base, place = Path(output_folder) / emb_format, Path(str(output_id))
    try:
        direct = (base / place).resolve() == Path(output_folder).resolve() / emb_format / place
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, characters that no path can have
        direct = False
    if not place.parts or place.anchor or ".." in place.parts or not direct:
        raise OutputError(
            f"{output_id!r} cannot name a folder inside {base}",
            "use a plain name or number as the id, and no symbolic link as its folder",
        )
    return base / place


def id_folder(output_folder: str | Path, emb_format: str, output_id: str) -> Path:
    """The same folder, made if need be, with the user's usual permissions.

    Raises:
        OutputError: as :func:`check_id`, or the folder cannot be made.
    """
    folder = check_id(output_folder, emb_format, output_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}", "choose another output folder") from error
    return folder


def reset_folder(output_folder: str | Path) -> None:
    """Delete what was saved in ``output_folder`` before, and the folders that this leaves empty.

    Raises:
        OutputError: it holds anything that was not saved here; then nothing is deleted.
    """
    delete_saved(output_folder, (_DTYPES,), tuple(SAVE_METHODS.values()))


def write_array(folder: Path, name: str, value: Any, save_method: str) -> None:
    """Write one module's array (or, for safetensors, tensor) to its file, replacing an older one at once.

    Raises:
        OutputError: the file cannot be written, or the safetensors package is missing.
    """
    writer = _WRITERS[save_method]
    _write(folder / file_name(name, SAVE_METHODS[save_method]), lambda file: writer(file, value))


def write_dtypes(folder: Path, dtypes: Mapping[str, str]) -> None:
    """Note beside the arrays which of them had a dtype that numpy lacks.

    Raises:
        OutputError: the file cannot be written.
    """
    if dtypes:
        text = json.dumps(dict(dtypes), indent=1, sort_keys=True).encode()
        _write(folder / _DTYPES, lambda file: file.write(text))


def _write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    try:
        replace_file(path, write)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}", "free some space or choose another folder"
        ) from error


def _write_npz(file: BinaryIO, value: Any) -> None:
    import numpy as np

    np.savez_compressed(file, value)


def _write_npy(file: BinaryIO, value: Any) -> None:
    import numpy as np

    np.save(file, value)


def _write_safetensors(file: BinaryIO, value: Tensor) -> None:
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise OutputError("safetensors files need the package safetensors", "pip install safetensors") from error
    # The format refuses views and shared memory.
    file.write(save({"arr_0": value.detach().cpu().clone().contiguous()}))


_WRITERS: dict[str, Callable[[BinaryIO, Any], None]] = {
    "numpy_compressed": _write_npz,
    "numpy": _write_npy,
    "safetensors": _write_safetensors,
}
