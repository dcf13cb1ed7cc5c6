"""Turn a model spec as people write it into a source that can be built."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from torch import nn

from torchstat_cli.errors import SpecError
from torchstat_cli.loading import providers, sample_catalog
from torchstat_cli.loading.factories import build_module, check_arguments, location
from torchstat_cli.loading.failures import with_article
from torchstat_cli.loading.imports import find_object
from torchstat_cli.loading.own_code import code_at
from torchstat_cli.loading.saved import is_saved_file, saved_model
from torchstat_cli.loading.source import ModelSource

__all__ = ["ModelSource", "find_model", "parse_arguments"]


def find_model(
    spec: str, arguments: Mapping[str, object] | None = None, *, online: bool = False, allow_pickle: bool = False
) -> ModelSource:
    """Find what a spec names; the model itself is not built yet.

    Args:
        spec: ``package.module:factory``, ``path/file.py:factory``, ``torchvision/NAME``, ``timm/NAME``,
            ``hf/NAME_OR_PATH``, a bare name, or a saved file: ``model.pt2``.
        arguments: keyword arguments for the factory.
        online: whether a hub may be asked for a configuration; weights are never downloaded.
        allow_pickle: whether a saved file may run the code that it names.

    Raises:
        SpecError: the spec names nothing usable, or the arguments do not fit.
    """
    text, given = spec.strip(), dict(arguments or {})
    if not text:
        raise SpecError(
            "the model spec is empty", hint="name a model: resnet18, package.module:factory, path/file.py:factory"
        )
    library, slash, name = text.partition("/")
    if slash and library in providers.prefixes() and ".py:" not in text:
        return providers.find(library, name, given, online=online)
    if is_saved_file(text):
        return saved_model(text, given, allow_pickle=allow_pickle)
    target, colon, attribute = text.rpartition(":")
    if colon and target and attribute and not attribute.endswith(".py"):
        return _find_factory(text, target, attribute, given)
    if colon and not (os.name == "nt" and attribute.startswith("\\")):
        part = "factory after" if target else "module before"
        raise SpecError(
            f"{text!r} has no {part} the colon", hint="write it as package.module:factory or path/file.py:factory"
        )
    if text.endswith(".py") or "/" in text or os.sep in text:
        raise _incomplete_path(text)
    return providers.find_bare(text, given)


def _find_factory(spec: str, target: str, attribute: str, arguments: dict[str, object]) -> ModelSource:
    found, import_path = _found(target, attribute)
    build = _builder(spec, found, arguments)
    return ModelSource(
        spec=spec,
        resolved=spec,
        build=functools.partial(build_module, spec, build, import_path=import_path),
        example_inputs=_example_inputs(spec, found),
        source=location(found),
    )


def _found(target: str, attribute: str) -> tuple[object, tuple[str, ...]]:
    """What :func:`find_object` finds; where a sample model was meant, the error says how it is named anywhere."""
    try:
        return find_object(target, attribute)
    except SpecError as error:
        if target.partition(".")[0] == sample_catalog.PREFIX and sample_catalog.knows(attribute):
            words = f"for the sample model write {sample_catalog.PREFIX}/{attribute}"
            raise SpecError(error.message, hint=words) from error
        raise


def _builder(spec: str, found: object, arguments: dict[str, object]) -> Callable[[], object]:
    """How to get the module from what the spec names.

    Raises:
        SpecError: it is neither a factory, a module class nor a module, or the arguments do not fit.
    """
    if isinstance(found, nn.Module):
        if arguments:
            raise SpecError(
                f"{spec} is a finished {type(found).__name__} and takes no arguments",
                hint="leave --arg out, or name the class or function that builds it",
            )
        return lambda: found
    if not callable(found) or (isinstance(found, type) and not issubclass(found, nn.Module)):
        kind = f"the class {found.__name__}" if isinstance(found, type) else with_article(type(found).__name__)
        raise SpecError(
            f"{spec} is {kind}, not a model",
            hint="name a function that returns an nn.Module, an nn.Module class, or an instance",
        )
    check_arguments(spec, found, arguments)
    return functools.partial(found, **arguments)


def _example_inputs(spec: str, found: object) -> Callable[[], object] | Sequence[str] | None:
    """The attribute ``example_inputs`` of a factory: a callable, or specs.

    Raises:
        SpecError: it is something else.
    """
    value = getattr(found, "example_inputs", None)
    if isinstance(value, str):
        return (value,)
    if value is None or callable(value):
        return cast("Callable[[], object] | None", value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(found, nn.Module):
        return None  # a buffer or layer of that name says nothing to us
    raise SpecError(
        f"example_inputs of {spec} is {with_article(type(value).__name__)}",
        hint='make it a function that returns the inputs, or a list of input specs such as ["1,3,224,224"]',
    )


def _incomplete_path(text: str) -> SpecError:
    path = Path(os.path.expanduser(text))  # unlike pathlib, os.path takes any text for a path that is not there
    if os.path.isdir(path):
        if (path / "config.json").is_file():
            return SpecError(
                f"{text} is a folder with a configuration of transformers", hint=f"write it as hf/{text.rstrip('/')}"
            )
        holds_code = any(path.glob("*.py"))
        words = (
            f"a model in it: {code_at(path, text).words}"
            if holds_code
            else f"a file in it: {text.rstrip('/')}/model.py:factory"
        )
        return SpecError(f"{text} is a folder, not a model", hint=f"name {words}")
    if path.suffix == ".py":
        if not os.path.isfile(path):
            return SpecError(f"no file {text}", hint="write it as path/file.py:factory")
        words = code_at(path, text).words
        return SpecError(f"{text} names a file but no factory in it", hint=f"write it as {words}")
    library = text.partition("/")[0]
    if os.path.isfile(path):
        remedy = f"write it as hf/{text}" if path.name == "config.json" else "write it as path/file.py:factory"
        return SpecError(f"{text} is not a Python file", hint=remedy)
    return SpecError(
        f"no model library {library!r}",
        hint=f"libraries are {', '.join(f'{prefix}/' for prefix in providers.prefixes())}; "
        f"for a transformers model write hf/{text}",
    )


def parse_arguments(pairs: Sequence[str]) -> dict[str, object]:
    """Read ``key=value`` pairs; a value is a Python literal, else a string.

    Raises:
        SpecError: a pair has no ``=``, its key is no name, or a key comes twice.
    """
    parsed: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise SpecError(f"the argument {pair!r} is not of the form key=value", hint="write it as --arg depth=12")
        if key in parsed:
            raise SpecError(f"the argument {key!r} is given twice", hint="keep one of them")
        parsed[key] = _literal(value.strip())
    return parsed


def _literal(text: str) -> object:
    try:
        return cast(object, ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
