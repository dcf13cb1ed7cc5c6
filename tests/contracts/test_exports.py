"""The public names are what ``__all__`` says."""

from __future__ import annotations

import torchstat_cli as ms


def test_all_is_sorted_and_complete() -> None:
    assert list(ms.__all__) == sorted(ms.__all__)
    assert set(ms.__all__) == {name for names in ms._HOMES.values() for name in names}


def test_every_public_name_resolves() -> None:
    for name in ms.__all__:
        assert getattr(ms, name) is not None
        assert name in dir(ms)


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(ms, "profil")
