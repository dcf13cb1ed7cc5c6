"""The libraries that know models by name; a new library is one entry in ``PROVIDERS``."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from torchstat_cli.errors import SpecError
from torchstat_cli.loading import hf_models, sample_catalog, timm_models, torchvision_models
from torchstat_cli.loading.failures import describe, import_remedy, root_cause, suggestion
from torchstat_cli.loading.imports import hidden_package
from torchstat_cli.loading.own_code import own_code
from torchstat_cli.loading.source import ModelSource, announced
from torchstat_cli.torch_access.process import untouched_process


class _Find(Protocol):
    def __call__(self, name: str, arguments: Mapping[str, object]) -> ModelSource: ...


@dataclass(frozen=True)
class Provider:
    """A model library."""

    prefix: str  # what stands before the slash
    package: str  # what is imported
    install: str  # command that installs it
    names: Callable[[], list[str]]  # every model it can build; needs the package
    knows: Callable[[str], bool]  # whether it builds this name; needs the package
    find: _Find  # the source of a name it knows


_SAMPLES = "sample_models"

PROVIDERS = (
    Provider(
        "torchvision",
        "torchvision",
        "pip install torchvision",
        torchvision_models.names,
        torchvision_models.knows,
        torchvision_models.find,
    ),
    Provider("timm", "timm", "pip install timm", timm_models.names, timm_models.knows, timm_models.find),
    Provider(
        _SAMPLES,
        "sample_models",
        "pip install torchstat-cli",
        sample_catalog.names,
        sample_catalog.knows,
        sample_catalog.find,
    ),
)
"""In the order in which a bare name is looked up."""

PREFIXES = (*(provider.prefix for provider in PROVIDERS), "hf")


def find(prefix: str, name: str, arguments: Mapping[str, object], *, online: bool = False) -> ModelSource:
    """The source of ``prefix/name``.

    Raises:
        SpecError: the library is missing or broken, or knows no such model.
    """
    if prefix == "hf":
        if importlib.util.find_spec("torchvision") is None or _import_trouble("torchvision") is None:
            _require("transformers", "pip install transformers")
            return hf_models.find(name, arguments, online=online)
        # transformers takes an installed torchvision for a working one; its models do without.
        with hidden_package("torchvision"):
            _require("transformers", "pip install transformers")
            return hf_models.find(name, arguments, online=online)
    provider = next(provider for provider in PROVIDERS if provider.prefix == prefix)
    _require(provider.package, provider.install)
    if not name or not provider.knows(name):
        raise SpecError(
            f"{prefix} has no model {name!r}{suggestion(name, provider.names())}",
            hint=f"it has {len(provider.names())} models; {_listing(prefix)}",
        )
    return replace(provider.find(name, arguments), spec=f"{prefix}/{name}")


def find_bare(name: str, arguments: Mapping[str, object]) -> ModelSource:
    """The source of a bare name: the first installed library that knows it.

    A sample model is never taken for a file of the user's own.

    Raises:
        SpecError: no library knows the name, or only a sample model has it beside a file of that name; libraries that
            could not be asked are named.
    """
    broken: dict[str, list[str]] = {}
    asked: list[Provider] = []
    for provider in PROVIDERS:
        if importlib.util.find_spec(provider.package) is None:
            continue
        cause = _import_trouble(provider.package)
        if cause is not None:
            broken.setdefault(cause, []).append(provider.prefix)
            continue
        asked.append(provider)
        if provider.knows(name):
            notices = _notices(broken)
            with announced(notices):
                notices += _choice(provider, name)
            with announced(notices):
                return replace(provider.find(name, arguments), spec=name, notices=notices)
    known = [known_name for provider in asked for known_name in provider.names()]
    raise SpecError(f"no model {name!r}{suggestion(name, known)}", hint=_not_found_hint(name, asked, broken))


def _choice(provider: Provider, name: str) -> tuple[str, ...]:
    """What to say about a bare name that a library knows.

    Raises:
        SpecError: a sample model and a file of the user's own are called so.
    """
    own = own_code(name)
    places, written = " and ".join(code.place for code in own), " or ".join(code.words for code in own)
    if provider.prefix != _SAMPLES:
        return (f"{name} is {provider.prefix}'s model, not {places} here; for yours write {written}",) if own else ()
    explicit = f"{_SAMPLES}/{name}"
    if own:
        raise SpecError(
            f"{name} may mean {places} here or a sample model of modelstat",
            hint=f"for yours write {written}; for the sample model {explicit}",
        )
    return (f"{name} is a sample model of modelstat, not a library's; {explicit} names it without this notice",)


def _not_found_hint(name: str, asked: list[Provider], broken: Mapping[str, list[str]]) -> str:
    own = own_code(name)
    if own:
        return "; ".join((f"for yours write {' or '.join(code.words for code in own)}", *_notices(broken)))
    if "." in name:
        module, _, factory = name.rpartition(".")
        return f"a factory is written with a colon: {module}:{factory}"
    absent = [provider.prefix for provider in PROVIDERS if importlib.util.find_spec(provider.package) is None]
    hint = f"asked {', '.join(provider.prefix for provider in asked)}; your own model is package.module:factory"
    if absent:
        hint += f"; not installed: {', '.join(absent)}"
    return "; ".join((hint, *_notices(broken)))


def _notices(broken: Mapping[str, list[str]]) -> tuple[str, ...]:
    return tuple(
        f"{' and '.join(libraries)} {'is' if len(libraries) == 1 else 'are'} installed but cannot be imported: "
        f"{cause} ({import_remedy(cause)})"
        for cause, libraries in broken.items()
    )


def _import_trouble(package: str) -> str | None:
    """Why an installed package cannot be imported, None when it can."""
    try:
        with untouched_process():
            importlib.import_module(package)
    except Exception as error:  # a broken library may raise anything; the cause goes to the user
        cause = root_cause(error)
        return describe(cause) if isinstance(cause, SyntaxError) else " ".join(str(cause).split())
    return None


def _require(package: str, install: str) -> None:
    """Import a library that the user named.

    Raises:
        SpecError: it is not installed, or importing it raised.
    """
    if importlib.util.find_spec(package) is None:
        raise SpecError(f"{package} is not installed", hint=install)
    cause = _import_trouble(package)
    if cause is not None:
        raise SpecError(f"{package} is installed but cannot be imported: {cause}", hint=import_remedy(cause))


def _listing(prefix: str) -> str:
    listings = {
        "torchvision": "torchvision.models.list_models() lists them",
        "timm": "timm.list_models() lists them",
        "sample_models": "sample_models.CATALOG lists them",
    }
    return listings[prefix]
