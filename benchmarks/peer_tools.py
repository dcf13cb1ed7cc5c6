"""How each tool is asked, and its own words mapped to MAdds.

Every tool gets a model and its positional inputs, in eval mode, and is called as its own documentation says.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """What a tool reports; None where it has no such number."""

    madds: int | None
    params: int | None


Measure = Callable[[nn.Module, Inputs], Count]


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to count a model."""

    name: str
    package: str  # distribution that must be installed
    words: str  # which of its numbers are MAdds
    load: Callable[[], Measure]  # imports the tool; returns how it measures
    on_meta: bool = False  # gets its model and inputs on the meta device

    def version(self) -> str | None:
        """The installed version, None where it is not installed."""
        try:
            return importlib.metadata.version(self.package).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            return None


def _modelstat() -> Measure:
    from torchstat_cli import profile

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        report = profile(model, *inputs)
        return Count(report.total.madds, report.total.params)

    return measure


def _flop_counter_mode() -> Measure:
    from torch.utils.flop_counter import FlopCounterMode

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*inputs)
        return Count(counter.get_total_flops() // 2, None)

    return measure


def _torchinfo() -> Measure:
    torchinfo = importlib.import_module("torchinfo")

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        summary = torchinfo.summary(model, input_data=inputs, verbose=0)
        return Count(summary.total_mult_adds, summary.total_params)

    return measure


def _thop() -> Measure:
    thop = importlib.import_module("thop")

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        macs, params = thop.profile(model, inputs=inputs, verbose=False)
        return Count(int(macs), int(params))

    return measure


def _ptflops(backend: str) -> Callable[[], Measure]:
    def load() -> Measure:
        ptflops = importlib.import_module("ptflops")

        def measure(model: nn.Module, inputs: Inputs) -> Count:
            macs, params = ptflops.get_model_complexity_info(
                model, tuple(inputs[0].shape), input_constructor=lambda _: inputs[0], as_strings=False,
                print_per_layer_stat=False, verbose=False, backend=backend,
            )  # fmt: skip
            if macs is None:
                raise RuntimeError("it printed an error and returned None")
            return Count(int(macs), int(params))

        return measure

    return load


def _fvcore() -> Measure:
    fvcore = importlib.import_module("fvcore.nn")

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        analysis = fvcore.FlopCountAnalysis(model, inputs).unsupported_ops_warnings(False)
        return Count(int(analysis.total()), fvcore.parameter_count(model)[""])

    return measure


def _calflops() -> Measure:
    calflops = importlib.import_module("calflops")

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        _, macs, params = calflops.calculate_flops(
            model, args=list(inputs), output_as_string=False, print_results=False, print_detailed=False
        )
        return Count(int(macs), int(params))

    return measure


def _torchprofile() -> Measure:
    torchprofile = importlib.import_module("torchprofile")

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        return Count(int(torchprofile.profile_macs(model, inputs)), None)

    return measure


def _forward() -> Measure:
    def measure(model: nn.Module, inputs: Inputs) -> Count:
        with torch.no_grad():
            model(*inputs)
        return Count(None, None)

    return measure


FORWARD = Tool("plain forward", "torch", "", _forward)
"""Counts nothing: what the others' seconds are read against."""

MODELSTAT = Tool("modelstat", "torch", "`madds`", _modelstat)

PEERS = (
    Tool("FlopCounterMode, CPU", "torch", "half of its FLOPs", _flop_counter_mode),
    Tool("FlopCounterMode, meta", "torch", "half of its FLOPs", _flop_counter_mode, on_meta=True),
    Tool("torchprofile", "torchprofile", "its MACs", _torchprofile),
    Tool("fvcore", "fvcore", "its FLOPs, which are MACs plus elements of norms and pooling", _fvcore),
    Tool("calflops", "calflops", "its MACs", _calflops),
    Tool("ptflops, pytorch", "ptflops", "its MACs, which include norms and activations", _ptflops("pytorch")),
    Tool("ptflops, aten", "ptflops", "its MACs", _ptflops("aten")),
    Tool("thop", "thop", "its MACs, which include norms and activations", _thop),
    Tool("torchinfo", "torchinfo", "its mult-adds", _torchinfo),
)
