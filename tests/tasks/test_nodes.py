"""The nodes of a spec: on which rung they are found, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchstat_cli.activations.nodes.listing import NodeListing
from torchstat_cli.errors import ForwardError, PlacementError
from torchstat_cli.loading import InputSpec
from torchstat_cli.tasks.nodes import list_spec_nodes

MODELS = """
import torch
from torch import nn

BUILDS = []


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        BUILDS.append(type(self).__name__)
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(x)


class Rounds(Plain):
    def __init__(self):
        super().__init__()
        self.register_buffer("rounds", torch.tensor(2))

    def forward(self, x):
        for _ in range(int(self.rounds)):
            x = x.sin()
        return self.linear(x)


class Branching(Plain):
    def forward(self, x):
        x = self.linear(x)
        return x.relu() if x.sum() > 1e9 else x.sin()


class Indexing(Plain):
    def forward(self, x):
        for _ in range(x.argmax() * 0 + 1):  # torch's answer on meta does not name the device
            x = self.linear(x)
        return x


class Lazy(Plain):
    def __init__(self):
        super().__init__()
        self.last = nn.LazyLinear(3)

    def forward(self, x):
        return self.last(self.linear(x))


class NoParameters(nn.Module):
    def forward(self, x):
        return x.sin()


def wrapped():
    return nn.DataParallel(Plain())
"""
ROWS = (InputSpec(None, (3, 4), None, None),)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)


def names(listing: NodeListing) -> list[str]:
    return [node.name for node in listing.eval]


def test_the_placement_is_that_of_the_rung() -> None:
    listing = list_spec_nodes("node_models.py:Plain", ROWS)
    assert (listing.placement, listing.notes) == ("meta", ())
    assert list_spec_nodes("node_models.py:Plain", ROWS, device="cpu").placement == "cpu"
    assert list_spec_nodes("node_models.py:Plain").placement == "meta"


def test_small_tables_keep_their_values_on_meta() -> None:
    listing = list_spec_nodes("node_models.py:Rounds", ROWS, engine="runtime")
    assert listing.placement == "meta+values"
    assert names(listing) == ["x", "sin", "sin_1", "linear"]
    assert list_spec_nodes("node_models.py:Rounds", ROWS, engine="runtime", device="meta").placement == "meta+values"


@pytest.mark.parametrize("model", ["Branching", "Indexing"])
def test_a_model_that_needs_values_runs_for_real_and_says_why(model: str) -> None:
    listing = list_spec_nodes(f"node_models.py:{model}", ROWS, engine="runtime")
    assert listing.placement == "cpu"
    assert "linear" in names(listing)
    assert listing.notes[0].startswith(f"not run on meta alone: node_models.py:{model} does not run on these inputs: ")


def test_lazy_modules_have_shapes() -> None:
    listing = list_spec_nodes("node_models.py:Lazy", ROWS, engine="runtime")
    assert {node.name: node.shapes for node in listing.eval}["last"] == ((3, 3),)
    assert names(list_spec_nodes("node_models.py:Lazy", engine="hooks")) == ["linear", "last"]


def test_a_model_without_tensors_stays_on_meta() -> None:
    listing = list_spec_nodes("node_models.py:NoParameters", ROWS, engine="runtime")
    assert (listing.placement, names(listing)) == ("meta", ["x", "sin"])


def test_a_wrapper_is_named() -> None:
    listing = list_spec_nodes("node_models.py:wrapped", ROWS)
    assert "measured on the module inside DataParallel" in listing.notes
    assert names(listing) == ["x", "linear"]


def test_a_model_too_large_for_a_real_run_says_both_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchstat_cli.tasks.ladder.unasked_limit", lambda: 4)
    with pytest.raises(PlacementError) as caught:
        list_spec_nodes("node_models.py:Branching", ROWS, engine="runtime")
    assert "more than the 4 B that may be used on the CPU; and it cannot run without memory: " in caught.value.message
    assert caught.value.hint is not None
    assert "--device cpu" in caught.value.hint


def test_a_fault_of_the_model_is_one_sentence() -> None:
    wrong = (InputSpec(None, (3, 5), None, None),)
    for device in ("auto", "meta", "cpu"):
        with pytest.raises(ForwardError, match=r"node_models\.py:Branching does not run on these inputs: ") as caught:
            list_spec_nodes("node_models.py:Branching", wrong, engine="runtime", device=device)
        assert "\n" not in caught.value.message
        assert "--input" in str(caught.value.hint)


def test_values_that_are_missing_on_meta_alone_are_said_so() -> None:
    with pytest.raises(PlacementError, match="meta tensors") as caught:
        list_spec_nodes("node_models.py:Branching", ROWS, engine="runtime", device="meta")
    assert caught.value.hint == "run it for real: --device cpu"
