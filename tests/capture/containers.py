"""Containers with methods of their own, as model libraries and users write them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError("these settings are frozen")


class FrozenDict(dict[str, Any]):
    """Settings that refuse changes."""

    update = clear = pop = popitem = setdefault = __setitem__ = __delitem__ = __ior__ = _refuse  # type: ignore[assignment]


class FrozenOrderedDict(OrderedDict[str, Any]):
    """As diffusers keeps its configuration: open while it is made, frozen from then on."""

    def __init__(self, **items: Any) -> None:
        self.frozen = False
        super().__init__(**items)
        self.frozen = True

    def __setitem__(self, name: str, item: Any) -> None:
        if self.frozen:
            _refuse()
        super().__setitem__(name, item)

    update = clear = pop = popitem = setdefault = __delitem__ = copy = _refuse  # type: ignore[assignment]


class FrozenList(list[Any]):
    """A list that refuses changes, and to be copied."""

    __setitem__ = __delitem__ = append = extend = clear = pop = copy = _refuse  # type: ignore[assignment]


class WriteOnce(dict[str, Any]):
    """A registry that lets each name be set once."""

    def __setitem__(self, name: str, item: Any) -> None:
        if name in self:
            _refuse()
        super().__setitem__(name, item)


class Label(tuple[Any, ...]):
    """As e3nn's labels: a tuple whose length is not defined."""

    def __len__(self) -> int:
        raise NotImplementedError


class Unordered(tuple[Any, ...]):
    """A tuple that cannot be walked."""

    def __iter__(self) -> NoReturn:
        raise TypeError("look items up by name")
