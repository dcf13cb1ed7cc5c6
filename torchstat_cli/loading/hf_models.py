"""transformers models from a configuration: a local file or folder, with permission one from the hub; never weights."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from torchstat_cli.errors import SpecError
from torchstat_cli.foreign_text import one_line, quoted, text_of
from torchstat_cli.loading.builders import refuse_weights
from torchstat_cli.loading.factories import build_module, location
from torchstat_cli.loading.failures import describe, import_remedy, root_cause, suggestion
from torchstat_cli.loading.hf_inputs import leaves_images_out, usual_inputs
from torchstat_cli.loading.source import ModelSource
from torchstat_cli.torch_access.process import untouched_process

_KERNEL_CHOICES = ("attn_implementation", "experts_implementation")  # of the builder, not of the configuration


def find(name: str, arguments: Mapping[str, object], *, online: bool = False) -> ModelSource:
    """The source of ``hf/NAME_OR_PATH``.

    Args:
        name: a config.json, its folder, or with ``online`` a name on the hub.
        arguments: new values in the configuration; ``attn_implementation``, ``experts_implementation`` choose kernels.
        online: whether the hub may be asked for the configuration.

    Raises:
        SpecError: there is no such configuration, or transformers cannot use it.
    """
    refuse_weights(arguments)
    path = Path(os.path.expanduser(name))
    local = _local_config(name, path, online=online)
    kernels = {key: value for key, value in arguments.items() if key in _KERNEL_CHOICES}
    changes = {key: value for key, value in arguments.items() if key not in _KERNEL_CHOICES}
    try:
        with untouched_process(), contextlib.nullcontext() if local is None else _offline():
            config = _read_config(name, local, changes)
            model_class = _model_class(name, config)
    except ImportError as error:  # transformers loads a model's code only now, and that code other libraries
        cause = " ".join(str(root_cause(error)).split())
        raise SpecError(
            f"transformers is installed but cannot load the model of {name}: {cause}", hint=import_remedy(cause)
        ) from error
    example, notices = _example(model_class, config)
    return ModelSource(
        spec=f"hf/{name}",
        resolved=f"transformers:{model_class.__name__}",
        build=functools.partial(build_module, f"hf/{name}", functools.partial(_build, model_class, config, kernels)),
        example_inputs=example,
        source=location(model_class),
        notices=notices,
    )


def _example(model_class: Any, config: Any) -> tuple[Any, tuple[str, ...]]:
    """What makes the usual inputs, None where they are unknown, and what is to be said about them."""
    example = functools.partial(usual_inputs, model_class, config)
    try:
        if not example():
            return None, ()
        textual = leaves_images_out(model_class, config)
    except Exception:  # the configuration's sizes may be anything; whoever asks for the inputs is told what they raise
        return example, ()
    return example, (
        f"the usual input of {config.model_type} is text alone; give inputs of your own to add images",
    ) * textual


def _build(model_class: Any, config: Any, kernels: Mapping[str, object]) -> nn.Module:
    """What AutoModel.from_config does: it honours the configuration's dtype, which calling the class does not."""
    with _offline():
        module: nn.Module = model_class._from_config(copy.deepcopy(config), **kernels)
    return module


def _local_config(name: str, path: Path, *, online: bool) -> Path | None:
    """The configuration file, None where the hub is to be asked.

    Raises:
        SpecError: there is none.
    """
    if not name:
        raise SpecError("hf/ names no model", hint="write hf/PATH, a config.json or its folder")
    if os.path.isdir(path):  # unlike pathlib, os.path takes any text for a path that is not there
        if (path / "config.json").is_file():
            return path / "config.json"
        raise SpecError(
            f"the folder {name} holds no config.json", hint="save one there with config.save_pretrained(folder)"
        )
    if os.path.isfile(path):
        return path
    if online:
        return None
    raise SpecError(
        f"there is no file or folder {name}",
        hint=f"relative paths start at {os.getcwd()}; a name on the hub needs --online",
    )


def _read_config(name: str, local: Path | None, changes: Mapping[str, object]) -> Any:
    auto = importlib.import_module("transformers.models.auto.configuration_auto")
    if local is not None:
        _check_file(local, auto.CONFIG_MAPPING)
    try:
        config = auto.AutoConfig.from_pretrained(str(local or name), local_files_only=local is not None)
        unknown = [key for key in changes if not hasattr(config, key)]
        if not unknown and changes:
            config = auto.AutoConfig.from_pretrained(str(local or name), local_files_only=local is not None, **changes)
    except ImportError:
        raise
    except Exception as error:  # transformers raises many kinds; each is told with its cause
        raise SpecError(
            f"transformers cannot read the configuration of {name}: {describe(error)}",
            hint="check the file and the --arg values against the model's configuration class",
        ) from error
    if unknown:
        raise SpecError(
            f"the configuration of {name} has no value {unknown[0]!r}{suggestion(unknown[0], config.to_dict())}",
            hint=f"--arg changes values of its {type(config).__name__}",
        )
    # Some vision models would fetch a pretrained backbone while they are built.
    if getattr(config, "use_pretrained_backbone", False):
        config.use_pretrained_backbone = False
    return config


def _check_file(path: Path, known_types: Any) -> None:
    """Refuse a file that is no model configuration, in words.

    Raises:
        SpecError: it cannot be read, is no JSON object, or names no model type that this transformers knows.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(
            f"{path} is no JSON file: {one_line(text_of(error), 200)}", hint="hf/ takes a transformers config.json"
        ) from error
    model_type = content.get("model_type") if isinstance(content, dict) else None
    if not isinstance(model_type, str):
        raise SpecError(f"{path} names no model_type", hint="hf/ takes a transformers config.json")
    if model_type not in known_types:
        version = importlib.import_module("transformers").__version__
        remote = "its code lies on the hub, which is never run; " if content.get("auto_map") else ""
        raise SpecError(
            f"transformers {version} knows no model type {quoted(model_type)}"
            f"{suggestion(model_type, known_types.keys())}",
            hint=f"{remote}install the transformers that has it, or name the class as package.module:factory",
        )


def _model_class(name: str, config: Any) -> Any:
    """The class that the configuration's ``architectures`` name first, else the base model of its type.

    Raises:
        SpecError: they name no model class, or the type has no base model.
    """
    transformers = importlib.import_module("transformers")
    architectures = getattr(config, "architectures", None)
    if architectures:
        # A file may hold anything in its place, and transformers has functions, configurations and modules too.
        wanted = architectures[0] if isinstance(architectures, (list, tuple)) else architectures
        found = getattr(transformers, wanted, None) if isinstance(wanted, str) else None
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
        lacks = "lacks" if found is None else "does not have as a model"
        close = suggestion(wanted, dir(transformers)) if isinstance(wanted, str) and found is None else ""
        raise _no_class(name, f"{quoted(wanted)}, which transformers {transformers.__version__} {lacks}{close}")
    try:
        mapped = importlib.import_module("transformers.models.auto.modeling_auto").MODEL_MAPPING[type(config)]
    except KeyError as error:
        wanted = f"the base model of {quoted(config.model_type)}"
        raise _no_class(name, f"{wanted}, which transformers {transformers.__version__} lacks") from error
    return mapped[0] if isinstance(mapped, (list, tuple)) else mapped


def _no_class(name: str, wanted: str) -> SpecError:
    return SpecError(
        f"the configuration of {name} wants {wanted}", hint='change it with --arg architectures=["ClassName"]'
    )


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Keep the hub's client off the network, also where a library was imported before and has read its settings."""
    constants: Any = importlib.import_module("huggingface_hub.constants")
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    environment, constant = {name: os.environ.get(name) for name in names}, constants.HF_HUB_OFFLINE
    os.environ.update(dict.fromkeys(names, "1"))
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = constant
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
