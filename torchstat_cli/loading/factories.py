"""Call a factory: check its arguments before, its result after, and say in one sentence what went wrong."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence

from torch import nn

from torchstat_cli.errors import BuildError, ModelstatError, SpecError
from torchstat_cli.foreign_text import text_of
from torchstat_cli.loading.failures import chain, describe, short_path, suggestion, with_article
from torchstat_cli.loading.remedies import device_remedy
from torchstat_cli.torch_access.process import untouched_process

_HAS_DEFAULT_OR_COLLECTS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_arguments(name: str, factory: Callable[..., object], arguments: Mapping[str, object]) -> None:
    """Compare ``--arg`` names with the factory's signature; nothing is called.

    Raises:
        SpecError: an argument is unknown, or a required one is missing.
    """
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return  # built-ins without a signature report for themselves when they are called
    by_keyword = [
        parameter.name
        for parameter in parameters.values()
        if parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    ]
    collects = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for argument in arguments:
        if argument not in by_keyword and not collects:
            listed = f"it takes {', '.join(by_keyword)}" if by_keyword else "it takes no arguments"
            raise SpecError(f"{name} has no argument {argument!r}{suggestion(argument, by_keyword)}", hint=listed)
    missing = [
        parameter.name
        for parameter in parameters.values()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in _HAS_DEFAULT_OR_COLLECTS
        and parameter.name not in arguments
    ]
    if missing:
        given = " ".join(f"--arg {argument}=VALUE" for argument in missing)
        raise SpecError(
            f"{name} needs {'an argument' if len(missing) == 1 else 'arguments'}: {', '.join(missing)}",
            hint=f"give {given}, or name a function without arguments that builds the model",
        )


def build_module(name: str, factory: Callable[[], object], *, import_path: Sequence[str] = ()) -> nn.Module:
    """The module that the factory returns.

    Raises:
        BuildError: the factory raised, or returned something that is no module; the cause is chained.
    """
    try:
        with untouched_process(import_path):
            result = factory()
    except ModelstatError:
        raise
    except (Exception, SystemExit) as error:
        raise BuildError(f"{name} raised {describe(error)}", hint=_remedy(error)) from error
    return check_module(name, result)


def _remedy(error: BaseException) -> str:
    if isinstance(error, TypeError) and "unexpected keyword argument" in text_of(error):
        return "check the names of the --arg values"
    if isinstance(error, ModuleNotFoundError):
        return f"install {error.name} in the environment that runs modelstat"
    return device_remedy(error, "factory") or "call it once in Python to see the whole traceback"


def check_module(name: str, result: object) -> nn.Module:
    """``result`` when it is a module.

    Raises:
        BuildError: it is something else.
    """
    if isinstance(result, nn.Module):
        return result
    kind = type(result).__name__
    remedies = {
        "NoneType": "does the function end without a return?",
        "tuple": "return the module alone, not a tuple",
        "dict": "a state_dict holds weights only; return the module that loads them",
        "OrderedDict": "a state_dict holds weights only; return the module that loads them",
        "ExportedProgram": "an exported program has no modules; return the eager model it was exported from",
        "coroutine": "the factory must be a plain function, not async",
    }
    remedy = remedies.get(kind, "name a function that returns an nn.Module, an nn.Module class, or an instance")
    shown = "None" if result is None else with_article(kind)
    raise BuildError(f"{name} returned {shown} instead of an nn.Module", hint=remedy)


def location(factory: object) -> str | None:
    """``file:line`` where a function or class is defined, None where Python cannot tell."""
    target = inspect.unwrap(factory) if callable(factory) else type(factory)
    code = getattr(target, "__code__", None)
    if code is not None:
        return f"{short_path(os.path.abspath(code.co_filename))}:{code.co_firstlineno}"
    try:
        file = inspect.getsourcefile(target if isinstance(target, type) else type(target))
        line = inspect.getsourcelines(target if isinstance(target, type) else type(target))[1]
    except (OSError, TypeError):
        return None
    return f"{short_path(os.path.abspath(file))}:{line}" if file else None


def caused_by(error: BaseException) -> BaseException:
    """The foreign exception behind a BuildError."""
    return error.__cause__ if isinstance(error, BuildError) and error.__cause__ is not None else error


def mentions(error: BaseException, words: re.Pattern[str]) -> bool:
    """Whether any exception behind a BuildError says the words."""
    return any(words.search(text_of(cause)) for cause in chain(caused_by(error)))
