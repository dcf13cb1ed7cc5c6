"""Files that torch saved: exported programs, TorchScript, state dicts, and pickled modules where they are allowed."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchstat_cli.errors import SpecError
from torchstat_cli.foreign_text import named, one_line
from torchstat_cli.loading.factories import build_module
from torchstat_cli.loading.saved.inventory import Entry, inventory
from torchstat_cli.loading.source import ModelSource
from torchstat_cli.records.weights import Weights
from torchstat_cli.torch_access.process import untouched_process
from torchstat_cli.torch_access.quantized import raw_bytes
from torchstat_cli.torch_access.trees import stored_bytes

_RUNS_CODE = "unpickling {spec} ran the code that it names: allow it for files that you trust alone"
_NAMES_SHOWN = 3
_UNFLATTENED = torch.export.UnflattenedModule


def read_torch_file(spec: str, path: str, *, allow_pickle: bool) -> Weights | ModelSource:
    """The weights, or the model, in a file.

    Raises:
        SpecError: torch cannot read it, or it is a pickled object and that was not allowed.
    """
    members = _members(path)
    if any(name.endswith("/models/model.json") or name == "serialized_exported_program.json" for name in members):
        return _program(spec, path)
    if any("/code/" in name or name.endswith("/constants.pkl") for name in members):
        return _source(spec, functools.partial(torch.jit.load, path, map_location="cpu"))
    if spec.lower().endswith(".pt2"):
        raise SpecError(f"{spec} is no program of torch.export", hint="save one with torch.export.save(program, FILE)")
    try:
        with _silenced():  # an archive is mapped, so that nothing of it is read
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=bool(members))
    except Exception as error:  # whatever a damaged file makes torch raise
        return _pickled(spec, path, error, allow_pickle)
    return _weights(spec, content)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Without torch's warnings about its own formats."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _members(path: str) -> list[str]:
    """The names in an archive; none where the file is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return []


def _program(spec: str, path: str) -> ModelSource:
    """An exported program, its modules put back where its graph tells them."""
    try:
        with torch.device("cpu"), _silenced():
            program = torch.export.load(path)
    except Exception as error:  # a program of another torch, or a damaged file
        raise SpecError(
            f"torch {torch.__version__} cannot load the exported program {spec}: {named(error)}",
            hint="load it with the torch that saved it, or export the model again",
        ) from error
    examples = program.example_inputs
    source = _source(spec, functools.partial(_unflattened, program))
    return source if examples is None else _with_examples(source, lambda: examples)


def _unflattened(program: Any) -> nn.Module:
    try:
        module: nn.Module = torch.export.unflatten(program)
    except Exception:  # some graphs cannot be taken apart by module; whole they give the same totals
        module = program.module()
    return module


def _with_examples(source: ModelSource, examples: Callable[[], object]) -> ModelSource:
    return ModelSource(source.spec, source.resolved, source.build, examples, source.source, source.notices)


def _source(spec: str, load: Callable[[], object], notices: tuple[str, ...] = ()) -> ModelSource:
    def on_cpu() -> object:
        without_memory = torch.get_default_device().type == "meta"
        with torch.device("cpu"), _silenced():  # a file holds real values, wherever the model will lie
            loaded = load()
        # Graphs warn when they are copied, so that those move instead; each build makes a new one.
        return loaded.to("meta") if without_memory and isinstance(loaded, _UNFLATTENED) else loaded

    return ModelSource(spec, spec, functools.partial(build_module, spec, on_cpu), notices=notices)


def _pickled(spec: str, path: str, refused: Exception, allow_pickle: bool) -> Weights | ModelSource:
    """A file that is more than weights."""
    if not _is_pickle(path):
        raise SpecError(f"{spec} is no file of torch.save", hint="save or download it again") from refused
    if not allow_pickle:
        names = _globals_in(path)
        what = f" that names {', '.join(names[:_NAMES_SHOWN])}" if names else ""
        more = ", …" if len(names) > _NAMES_SHOWN else ""
        raise SpecError(
            f"{spec} is a pickled object{what}{more}, and loading it runs code",
            hint="add --allow-pickle if you trust it, or name the code that builds the model: package.module:factory",
        ) from refused
    notice = _RUNS_CODE.format(spec=spec)
    try:
        with torch.device("cpu"), untouched_process((os.getcwd(),)):
            content = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # unpickling runs whatever the file says
        raise SpecError(
            f"{spec} cannot be unpickled: {one_line(named(error), 160)}",
            hint="run modelstat where the classes that it names can be imported",
        ) from error
    module = content if isinstance(content, nn.Module) else _module_in(content)
    return _weights(spec, content) if module is None else _source(spec, lambda: module, (notice,))


def _is_pickle(path: str) -> bool:
    """Whether a file is one of torch.save, as an archive or as it was before."""
    if any(name.endswith("data.pkl") for name in _members(path)):
        return True
    with open(path, "rb") as file:
        return file.read(1) == b"\x80"


def _globals_in(path: str) -> list[str]:
    """What the pickle in an archive would import; none where torch cannot tell."""
    try:
        with _silenced():
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # no archive, or damaged
        return []


def _module_in(content: object) -> nn.Module | None:
    """The one module in a checkpoint that keeps it beside other things; None without one, or with several."""
    if not isinstance(content, Mapping):
        return None
    modules = [value for value in content.values() if isinstance(value, nn.Module)]
    return modules[0] if len(modules) == 1 else None


def _weights(spec: str, content: object) -> Weights:
    """The inventory of what torch loaded.

    Raises:
        SpecError: there is no tensor in it.
    """
    model = _model_part(content)
    entries: dict[str, Entry] = {}
    tied: list[str] = []
    places: set[tuple[object, ...]] = set()
    values: dict[str, Tensor] = {}
    for name, tensor in _tensors("", model):
        if _place(tensor) in places:
            tied.append(name)
            continue
        places.add(_place(tensor))
        values[name] = tensor
        entries[name] = Entry(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), stored_bytes(tensor))
    if not entries:
        raise SpecError(f"{spec} holds no tensors", hint="name a file with a state dict, or a model's code")
    whole = model is content
    kind = "a state dict" if whole else "a checkpoint, of which the model's weights are counted"
    return inventory(spec, kind, entries, _read_from(values), tuple(tied))


def _read_from(values: Mapping[str, Tensor]) -> Callable[[str], bytes]:
    """Bytes of small tensors, which only quantized weights ask for."""
    return lambda name: raw_bytes(values[name])


def _model_part(content: object) -> object:
    """Of a checkpoint the weights of the model: optimizers and counters are none."""
    if not isinstance(content, Mapping):
        return content
    if any(isinstance(value, Tensor) for value in content.values()):
        return content
    for name in ("state_dict", "model_state_dict", "model", "module", "net", "weights", "ema"):
        part = content.get(name)
        if isinstance(part, Mapping) and next(_tensors("", part), None) is not None:
            return part
    return content


def _tensors(prefix: str, value: object) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield prefix or "tensor", value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _tensors(f"{prefix}.{place}" if prefix else str(place), item)


def _place(tensor: Tensor) -> tuple[object, ...]:
    """Equal for two names of one tensor."""
    if tensor.layout is not torch.strided or type(tensor) not in (Tensor, nn.Parameter) or not tensor.numel():
        return (id(tensor),)
    window = tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype
    return tensor.untyped_storage()._cdata, *window
