"""The model libraries; a new one is one entry in ``PROVIDERS``."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from torchstat_cli.errors import SpecError
from torchstat_cli.foreign_text import message_of
from torchstat_cli.loading import hf_models, sample_catalog, timm_models, torchvision_models
from torchstat_cli.loading.failures import describe, import_remedy, root_cause, suggestion
from torchstat_cli.loading.imports import hidden_package
from torchstat_cli.loading.own_code import own_code
from torchstat_cli.loading.source import ModelSource, announced
from torchstat_cli.torch_access.process import untouched_process


class _Find(Protocol):
    def __call__(self, name: str, arguments: Mapping[str, object], *, online: bool) -> ModelSource: ...


@dataclass(frozen=True)
class Catalog:
    """The names of a library's models; all three need its package."""

    names: Callable[[], list[str]]  # every model it can build
    knows: Callable[[str], bool]  # whether it builds this name
    listing: str | None  # where people find the names: "timm.list_models()"; None: they are few, and shown

    @property
    def words(self) -> str:
        """Which models there are."""
        known = self.names()
        if self.listing is None:
            return f"its {len(known)} models are {', '.join(known)}"
        return f"it has {len(known)} models; {self.listing} lists them"


@dataclass(frozen=True)
class Provider:
    """A model library."""

    prefix: str  # what stands before the slash
    package: str  # what is imported
    install: str  # command that installs it
    find: _Find  # the source of a model
    catalog: Catalog | None = None  # None: it takes paths, so that no bare name means a model of it
    does_without: tuple[str, ...] = ()  # packages that it imports where they are installed, also if they are broken
    carried: Callable[[], bool] | None = None  # whether this package brings it; None: it is installed on its own

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported, if it is not broken."""
        return importlib.util.find_spec(self.package) is not None if self.carried is None else self.carried()


SAMPLES = Provider(
    sample_catalog.PREFIX,
    "torchstat_cli.sample_models",
    "they come with modelstat: install it again",
    sample_catalog.find,
    Catalog(sample_catalog.names, sample_catalog.knows, None),
    carried=sample_catalog.is_installed,
)

PROVIDERS = (
    Provider(
        "torchvision",
        "torchvision",
        "pip install torchvision",
        torchvision_models.find,
        Catalog(torchvision_models.names, torchvision_models.knows, "torchvision.models.list_models()"),
    ),
    Provider(
        "timm",
        "timm",
        "pip install timm",
        timm_models.find,
        Catalog(timm_models.names, timm_models.knows, "timm.list_models()"),
    ),
    SAMPLES,
    Provider("hf", "transformers", "pip install transformers", hf_models.find, does_without=("torchvision",)),
)
"""In the order in which a bare name is looked up."""


def prefixes() -> tuple[str, ...]:
    """What may stand before the slash of a spec."""
    return tuple(provider.prefix for provider in PROVIDERS)


def find(prefix: str, name: str, arguments: Mapping[str, object], *, online: bool = False) -> ModelSource:
    """The source of ``prefix/name``.

    Raises:
        SpecError: the library is missing or broken, or knows no such model.
    """
    provider = next(provider for provider in PROVIDERS if provider.prefix == prefix)
    with _without_broken(provider.does_without):
        _require(provider)
        catalog = provider.catalog
        if catalog is not None and not (name and catalog.knows(name)):
            raise SpecError(
                f"{prefix} has no model {name!r}{suggestion(name, catalog.names())}",
                hint=catalog.words,
            )
        return replace(provider.find(name, arguments, online=online), spec=f"{prefix}/{name}")


def names_of(prefix: str) -> list[str]:
    """Every model that a library can build.

    Raises:
        SpecError: no library has this prefix, it has no list of names, or it is missing or broken.
    """
    provider = next((provider for provider in PROVIDERS if provider.prefix == prefix), None)
    if provider is None or provider.catalog is None:
        listed = [provider.prefix for provider in PROVIDERS if provider.catalog is not None]
        raise SpecError(f"there is no list of the models of {prefix!r}", f"there is one of {', '.join(listed)}")
    _require(provider)
    return provider.catalog.names()


@contextmanager
def _without_broken(packages: tuple[str, ...]) -> Iterator[None]:
    """Hide the installed ``packages`` that cannot be imported from a library that would take them for working ones."""
    with ExitStack() as hidden:
        for package in packages:
            if importlib.util.find_spec(package) is not None and _import_trouble(package) is not None:
                hidden.enter_context(hidden_package(package))
        yield


def find_bare(name: str, arguments: Mapping[str, object]) -> ModelSource:
    """The source of a bare name: the first installed library that knows it.

    A sample model is never taken for a file of the user's own.

    Raises:
        SpecError: no library knows the name, or only a sample model has it beside a file of that name; libraries that
            could not be asked are named.
    """
    broken: dict[str, list[str]] = {}
    asked: dict[str, Catalog] = {}
    for provider in PROVIDERS:
        catalog = provider.catalog
        if catalog is None or not provider.is_installed:
            continue
        cause = _import_trouble(provider.package)
        if cause is not None:
            broken.setdefault(cause, []).append(provider.prefix)
            continue
        asked[provider.prefix] = catalog
        if catalog.knows(name):
            notices = _notices(broken)
            with announced(notices):
                notices += _choice(provider, name)
            with announced(notices):
                return replace(provider.find(name, arguments, online=False), spec=name, notices=notices)
    known = [known_name for catalog in asked.values() for known_name in catalog.names()]
    raise SpecError(f"no model {name!r}{suggestion(name, known)}", hint=_not_found_hint(name, asked, broken))


def _choice(provider: Provider, name: str) -> tuple[str, ...]:
    """What to say about a bare name that a library knows.

    Raises:
        SpecError: a sample model and a file of the user's own are called so.
    """
    own = own_code(name)
    places, written = " and ".join(code.place for code in own), " or ".join(code.words for code in own)
    if provider.prefix != SAMPLES.prefix:
        return (f"{name} is {provider.prefix}'s model, not {places} here; for yours write {written}",) if own else ()
    explicit = f"{SAMPLES.prefix}/{name}"
    if own:
        raise SpecError(
            f"{name} may mean {places} here or a sample model of modelstat",
            hint=f"for yours write {written}; for the sample model {explicit}",
        )
    return (f"{name} is a sample model of modelstat, not a library's; {explicit} names it without this notice",)


def _not_found_hint(name: str, asked: Collection[str], broken: Mapping[str, list[str]]) -> str:
    if os.path.isfile(os.path.join(name, "config.json")):
        return f"for the transformers model in the folder {name} write hf/{name}"
    own = own_code(name)
    if own:
        return "; ".join((f"for yours write {' or '.join(code.words for code in own)}", *_notices(broken)))
    if "." in name:
        module, _, factory = name.rpartition(".")
        return f"a factory is written with a colon: {module}:{factory}"
    named = [provider for provider in PROVIDERS if provider.catalog is not None]
    absent = [provider.prefix for provider in named if not provider.is_installed]
    hint = f"asked {', '.join(asked)}; your own model is package.module:factory"
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
        return describe(cause) if isinstance(cause, SyntaxError) else message_of(cause)
    return None


def _require(provider: Provider) -> None:
    """Import a library that the user named.

    Raises:
        SpecError: it is not installed, or importing it raised.
    """
    if not provider.is_installed:
        raise SpecError(f"{provider.package} is not installed", hint=provider.install)
    cause = _import_trouble(provider.package)
    if cause is not None:
        raise SpecError(f"{provider.package} is installed but cannot be imported: {cause}", hint=import_remedy(cause))
