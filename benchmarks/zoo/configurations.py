"""A small configuration for every model type of transformers: its default one, with fewer and narrower layers.

The sizes that belong together have no common names, so each width is divided by one number, and numbers are tried until
a model comes of it that runs.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

WRITTEN = Path(__file__).parents[2] / "tests" / "coverage" / "transformers.json"
"""Small configurations that were written by hand."""

LAYERS = 2
VOCABULARY = 1000
DIVISORS = (8, 4, 1)

_LAYER_COUNTS = re.compile(r"(num|n)_(\w+_)?(layers?|blocks)|(\w+_)?(layers|depth)|\w+_num_layers")
_WIDTHS = re.compile(
    r"(\w+_)?(hidden_sizes?|d_model|d_ff|d_kv|dims?|embd|width|intermediate_sizes?|rank|inner|ffn_\w+|channels)(_\w+)?"
    r"|embed_\w+|dim_\w+|mrope_section"
)
_TOKENS = re.compile(r"\w+_token_(ids?|index)|image_token|(bos|eos|pad)_id")
_LOCAL = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures")


def model_types() -> list[str]:
    """Every model type that transformers registers."""
    mapping = importlib.import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    return sorted(mapping.keys())


def configurations(model_type: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Configurations to try one after another, each with what it is in words.

    Raises:
        Exception: transformers has no default configuration of the type.
    """
    written = json.loads(WRITTEN.read_text(encoding="utf-8"))
    if model_type in written:
        yield "written by hand", written[model_type]
    default = default_configuration(model_type)
    for divisor in DIVISORS:
        words = f"{LAYERS} layers" + (f", widths / {divisor}" if divisor > 1 else "")
        yield words, small(default, divisor)
    yield "default", default


def default_configuration(model_type: str) -> dict[str, Any]:
    """What a configuration without arguments holds, and the class of its model."""
    mapping = importlib.import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    configuration_class = mapping[model_type]
    default = json.loads(json.dumps(configuration_class().to_dict()))
    kept = {key: value for key, value in default.items() if key not in _LOCAL}
    return {**kept, "model_type": model_type, "architectures": [_class_of(model_type, configuration_class)]}


def small(configuration: Mapping[str, Any], divisor: int) -> dict[str, Any]:
    """The configuration with few layers, a small vocabulary, and every width divided, in all of its parts."""
    counts = {value for key, value in configuration.items() if _LAYER_COUNTS.fullmatch(key) and _is_size(value)}
    made: dict[str, Any] = {}
    for key, value in configuration.items():
        if isinstance(value, Mapping):
            made[key] = small(value, divisor)
        elif _LAYER_COUNTS.fullmatch(key) and _is_size(value):
            made[key] = min(value, LAYERS)
        elif isinstance(value, (list, tuple)) and len(value) > LAYERS and len(value) in counts:
            made[key] = [value[0], *value[1 - LAYERS :]]  # the first and the last kind of layer
        elif key == "vocab_size" and _is_size(value):
            made[key] = min(value, VOCABULARY)
        elif _TOKENS.fullmatch(key):
            made[key] = _folded(value)
        elif key == "n_embd" or (_WIDTHS.fullmatch(key) and not key.startswith(("num_", "n_"))):
            made[key] = _divided(value, divisor)
        else:
            made[key] = value
    return made


def _divided(value: Any, divisor: int) -> Any:
    if isinstance(value, (list, tuple)):
        return [_divided(item, divisor) for item in value]
    return value // divisor if _is_size(value) and value % divisor == 0 and value >= 4 * divisor else value


def _folded(value: Any) -> Any:
    """Token ids that stay apart in a small vocabulary."""
    if isinstance(value, (list, tuple)):
        return [_folded(item) for item in value]
    return value % (VOCABULARY - 3) if _is_size(value) and value >= VOCABULARY else value


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _class_of(model_type: str, configuration_class: Any) -> str | None:
    """The base model of a type, else the first class that any task has for it."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    tasks = [name for name in dir(auto) if name.startswith("MODEL_FOR_") and name.endswith("_MAPPING_NAMES")]
    for name in ("MODEL_MAPPING_NAMES", *tasks):
        found = getattr(auto, name).get(model_type)
        if found is not None:
            return found if isinstance(found, str) else found[0]
    return _class_beside(configuration_class)


def _class_beside(configuration_class: Any) -> str | None:
    """The first model that names this very class of configuration, in the file of models beside it."""
    transformers = importlib.import_module("transformers")
    models = importlib.import_module(configuration_class.__module__.replace("configuration_", "modeling_"))
    for name, found in vars(models).items():
        is_model = (
            isinstance(found, type) and issubclass(found, transformers.PreTrainedModel) and "forward" in vars(found)
        )
        if is_model and hasattr(transformers, name) and _is_for(found, configuration_class):
            return name
    return None


def _is_for(model_class: Any, configuration_class: Any) -> bool:
    named = vars(model_class).get("config_class"), vars(model_class).get("__annotations__", {}).get("config")
    return configuration_class in named or configuration_class.__name__ in named
