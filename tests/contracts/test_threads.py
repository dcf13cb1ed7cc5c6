"""Any two public calls may run in two threads at once: both are right, and the process is as before."""

from __future__ import annotations

import copy
import gc
import itertools
import os
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.torch_access.internals import HigherOrderOperator

ROWS = torch.linspace(-1, 1, 8).reshape(2, 4)
SPEC = "sample_models.mlp:mlp"


TEMPLATE = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2)).eval()


def model() -> nn.Module:
    """One of the caller's own; a copy draws no random numbers, as building would."""
    return copy.deepcopy(TEMPLATE)


def counts(**options: Any) -> Callable[[], int]:
    return lambda: ms.profile(model(), ROWS, **options).total.madds


def instrument() -> int:
    live = model()
    with ms.instrument(live) as capture, torch.no_grad():
        live(ROWS)
    return capture.profile().total.madds


def nodes(engine: str) -> Callable[[], Any]:
    return lambda: ms.get_graph_node_names(model(), engine=engine, example_inputs=ROWS, suppress_diff_warning=True)[1]


def extract(engine: str) -> Callable[[], Any]:
    def call() -> Any:
        live = model()
        with torch.no_grad():
            expected = live[0](ROWS)
            return torch.equal(ms.create_feature_extractor(live, ["0"], engine=engine)(ROWS)["0"], expected)  # type: ignore[arg-type]

    return call


def observe() -> Any:
    live = model()
    with torch.no_grad(), ms.observe(live, ["3"]) as seen:
        output = live(ROWS)
    return torch.equal(seen["3"], output)


def compiled() -> Any:
    live = torch.compile(model(), backend="eager")
    with torch.no_grad(), ms.observe(live, ["0"]) as seen:
        live(ROWS)
    return tuple(seen["0"].shape)


CALLS: dict[str, Callable[[], Any]] = {
    "profile of a spec": lambda: ms.profile(SPEC).total.params,
    "profile": counts(),
    "training": counts(train=True, mode="train"),
    "memory": counts(memory=True),
    "cpu": counts(device="cpu"),
    "attention": counts(attention="math"),
    "load_model": lambda: sum(parameter.numel() for parameter in ms.load_model(SPEC).parameters()),
    "instrument": instrument,
    "nodes of a graph": nodes("fx"),
    "nodes of a run": nodes("runtime"),
    "extractor, graph": extract("fx"),
    "extractor, hooks": extract("hooks"),
    "observe": observe,
    "observe compiled": compiled,
}


def process_state() -> dict[str, Any]:
    """What a run may borrow of the process."""
    owners = [torch, torch.Tensor, nn.Module, nn.functional, torch.UntypedStorage, HigherOrderOperator, torch.amp]
    return {
        "functions": [dict(vars(owner)) for owner in owners],
        "stance": torch._dynamo.eval_frame._stance,
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "stdout": (sys.stdout, sys.stderr),
        "path": list(sys.path),
        "directory": os.getcwd(),
        "dtype": torch.get_default_dtype(),
        "collector": gc.isenabled(),
        "modes": torch._C._len_torch_dispatch_stack(),
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tobytes(),  # type: ignore[union-attr]
        "torch": torch.get_rng_state().tolist(),
    }


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    torch._dynamo.list_backends()  # the compiler is there from the beginning
    return {name: call() for name, call in CALLS.items()}


# torch refuses compiled functions in every thread while any thread traces.
TRACING = {"nodes of a graph", "extractor, graph"}
PAIRS = [
    pair
    for pair in itertools.combinations_with_replacement(CALLS, 2)
    if not ("observe compiled" in pair and TRACING & set(pair))
]


@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_pair_of_calls(pair: tuple[str, str], expected: dict[str, Any]) -> None:
    before, failures = process_state(), []
    start = threading.Barrier(2)

    def work(name: str) -> None:
        start.wait(10)
        for _ in range(3):
            try:
                result = CALLS[name]()
            except Exception as error:
                failures.append((name, repr(error)))
            else:
                if result != expected[name]:
                    failures.append((name, result, expected[name]))

    threads = [threading.Thread(target=work, args=(name,)) for name in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    after = process_state()
    assert [key for key in before if before[key] != after[key]] == []
