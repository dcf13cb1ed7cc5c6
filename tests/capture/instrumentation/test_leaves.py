"""Sites, wrappers and the plain settings of modules."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from tests.capture.modules import linear
from torchstat_cli.capture.instrumentation.leaves import find_sites, own_attributes, plain_attributes
from torchstat_cli.torch_access.wrappers import peeled


def test_parents_come_before_children_and_shared_modules_once() -> None:
    shared = linear()
    model = nn.Sequential(nn.Sequential(shared, nn.ReLU()), shared)
    sites = find_sites(model)
    assert [(site.path, site.is_leaf) for site in sites] == [("", False), ("0", False), ("0.0", True), ("0.1", True)]


def test_module_without_children_is_a_leaf_even_as_the_root() -> None:
    (site,) = find_sites(nn.ReLU())
    assert (site.path, site.is_leaf, site.takes_hooks) == ("", True, True)


def test_torchscript_takes_no_hooks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(linear())
    assert [site.takes_hooks for site in find_sites(nn.Sequential(scripted))] == [True, False]
    assert peeled(scripted) == (scripted, False, None)


def test_wrappers_are_taken_off_from_outside_in() -> None:
    model = linear()
    assert peeled(model) == (model, False, None)
    assert peeled(nn.DataParallel(model)) == (model, False, "measured on the module inside DataParallel")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(nn.DataParallel(model), backend="eager")
    assert peeled(compiled)[:2] == (model, True)


def test_module_that_only_looks_like_a_wrapper_is_kept() -> None:
    holder = nn.Module()
    holder.module = linear()
    assert peeled(holder) == (holder, False, None)


def test_plain_attributes_are_the_modules_settings() -> None:
    module = nn.Conv2d(3, 8, (3, 5), stride=2, bias=False)
    module.note, module.table, module._private = "x", {"a": 1}, 3
    attributes = plain_attributes(own_attributes(module))
    assert attributes["kernel_size"] == [3, 5]
    assert (attributes["in_channels"], attributes["stride"], attributes["note"]) == (3, [2, 2], "x")
    assert not {"table", "_private", "training", "weight"} & set(attributes)
