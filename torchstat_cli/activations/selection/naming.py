"""Name what can be extracted: true module paths, `path.operator` for operators, `_1`, `_2` for repetitions."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from torch import nn

from torchstat_cli.torch_access.modules import every_path
from torchstat_cli.torch_access.wrappers import clean_path, inside, part_check, was_compiled

_SUFFIX = re.compile(r"(?P<stem>.+)_(?P<number>[0-9]+)")
_CALL = re.compile(r"(?P<stem>.*)_(?P<number>[1-9][0-9]*)")  # the root's second call is "_1"


@dataclass(frozen=True)
class ModuleTable:
    """The modules of a model by their true paths, wrappers stripped."""

    modules: dict[str, nn.Module]  # first path of each module -> module, registration order, "" is the root
    aliases: dict[str, str]  # every further path of a shared module -> its first path
    compiled: bool = False  # whether the model or any part of it was compiled

    @classmethod
    def of(cls, model: nn.Module) -> ModuleTable:
        """The table of ``model``, seen through its wrappers (:func:`~.wrappers.unwrap`)."""
        modules: dict[str, nn.Module] = {}
        aliases: dict[str, str] = {}
        first: dict[int, str] = {}  # by the module's id
        root, compiled = inside(model)
        check = part_check()
        for path, module in every_path(root):
            path = clean_path(path)
            check(module)
            compiled = compiled or was_compiled(module)
            # A compiled child and its wrapper have one clean path; the inner module is the true one.
            if path in modules and hasattr(modules[path], "_orig_mod"):
                modules[path] = module
                first[id(module)] = path
            elif id(module) in first:
                if first[id(module)] != path:
                    aliases[path] = first[id(module)]
            elif path not in modules:
                modules[path] = module
                first[id(module)] = path
        return cls(modules, aliases, compiled)

    @cached_property
    def candidates(self) -> list[str]:
        """What a selection of modules can be, for close matches: paths, and classes as ``type:Conv2d``."""
        return [*self.modules, *dict.fromkeys(f"type:{type(module).__name__}" for module in self.modules.values())]

    def __contains__(self, path: object) -> bool:
        return path in self.modules or path in self.aliases

    def first_path(self, path: str) -> str:
        """The path under which ``path``'s module is named."""
        return self.aliases.get(path, path)

    def call_name(self, path: str, call: int) -> str:
        """The name of call number ``call`` (0 is the first) of the module ``path``.

        ``fc``, ``fc_1``, ``fc_2`` …; a suffix that is some module's own path is passed over: no name means two things.
        """
        name, number = path, 0
        for _ in range(call):
            number += 1
            while (name := f"{path}_{number}") in self:
                number += 1
        return name

    def call_of(self, name: str) -> tuple[str, int] | None:
        """The inverse of :meth:`call_name`: ``(path, call)``, or None where ``name`` is no call of a module."""
        if name in self:
            return self.first_path(name), 0
        match = _CALL.fullmatch(name)
        if match is None or match["stem"] not in self:
            return None
        stem, number = match["stem"], int(match["number"])
        taken = sum(f"{stem}_{other}" in self for other in range(1, number))
        return self.first_path(stem), number - taken


class Numbering(Protocol):
    """Hands out names that are unique within one run."""

    def name(self, base: str) -> str:
        """The name of the next node called ``base``."""


@dataclass
class TrueNumbering:
    """The default scheme: a name never means another module than the one that bears it."""

    taken: Container[str]  # module paths: no repetition may be called like a module
    _counts: dict[str, int] = field(default_factory=dict)

    def name(self, base: str) -> str:
        """``base``, then ``base_1``, ``base_2`` …, passing over module paths."""
        if base not in self._counts:
            self._counts[base] = 0
            return base
        while True:
            self._counts[base] += 1
            name = f"{base}_{self._counts[base]}"
            if name not in self.taken:
                return name


@dataclass
class TorchvisionNumbering:
    """torchvision's scheme: digits at the end of any name are taken off first, module names included."""

    _latest: dict[str, int] = field(
        default_factory=dict
    )  # stem -> suffix of the latest name with that stem, 0 for none

    def name(self, base: str) -> str:
        """``base`` without trailing ``_<digits>``, then numbered after the latest name with the same stem."""
        match = _SUFFIX.fullmatch(base)
        stem = match["stem"] if match else base
        name = stem
        if stem in self._latest:
            name = f"{stem}_{self._latest[stem] + 1}"
        self._latest[name] = 0
        if match := _SUFFIX.fullmatch(name):
            self._latest[match["stem"]] = int(match["number"])
        return name
