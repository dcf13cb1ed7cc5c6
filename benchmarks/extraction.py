"""What extraction costs, as ratios of CPU time to the plain forward pass of the same model and inputs."""

from __future__ import annotations

import ctypes
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

import torch
from torch import Tensor, nn

from benchmarks.figures import Figure, Settings
from benchmarks.libraries import import_library
from benchmarks.timing import Seconds, interleave, median_ratio
from torchstat_cli.activations import KeepOptions, ObserveOptions, create_feature_extractor, observe

_MODULES = 1.2  # every module output: hooks and copies that are only made when somebody writes
_OPERATORS = 2.0  # every operator too: Python hears of each
_EARLY = 0.6  # only an early stage, one image: the rest does not run
_BY_HAND = 1.05  # against calling the stage's modules oneself, which is what cannot be beaten

_SHORT = 4  # times as many rounds: these runs are short, and two equal ones differ by more than the promise otherwise

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h

Actions = Mapping[str, Callable[[], object]]


def figures(settings: Settings) -> Iterator[Figure]:
    """Everything inside a vision transformer, then an early stage of a residual network; one thread, no gradients."""
    torch.set_num_threads(1)
    _keep_freed_memory()
    timm, torchvision, torchlens = map(import_library, ("timm", "torchvision", "torchlens"))
    if torchvision is not None:
        for batch in (1, 4):
            yield from _early_stage(torchvision, batch, settings.rounds)
    if timm is not None:
        yield from _inside_a_transformer(timm, torchlens, settings.rounds)


def _keep_freed_memory() -> None:
    """Where glibc serves memory, let it keep what is freed instead of handing it back to the system.

    It does the one or the other as the heap happens to lie: fresh pages for 0.2 GB of kept outputs cost a third of the
    forward pass, with any hook that keeps outputs, and who runs after whom decides who pays. Now the figures repeat.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            mallopt(option, 2**31 - 1)


def _inside_a_transformer(timm: ModuleType, torchlens: ModuleType | None, rounds: int) -> Iterator[Figure]:
    """timm's vit_tiny: its modules, its operators, its attention."""
    torch.manual_seed(0)
    model: nn.Module = timm.create_model("vit_tiny_patch16_224").eval()
    images = torch.randn(8, 3, 224, 224)
    modules = create_feature_extractor(model, ["*"], engine="hooks")
    quick = ObserveOptions(engine="runtime", keep=KeepOptions(audit=False))

    def observed(*selections: str) -> None:
        with observe(model, selections, quick):
            model(images)

    actions: Actions = {
        "plain": lambda: model(images),
        "bare hooks that keep every live output": lambda: _bare_hooks(model, images),
        "every module output": lambda: modules(images),
        "every operator and module output": lambda: observed("type:Module", "op:*"),
        "12 attention maps": lambda: observed("attn"),
    }
    seconds = _measured(actions, rounds)
    subject = "timm vit_tiny, batch 8: "
    goals = {"every module output": _MODULES, "every operator and module output": _OPERATORS}
    for name in list(actions)[1:]:
        yield _ratio(subject + name, seconds[name], seconds["plain"], goals.get(name))
    if torchlens is not None:
        # It replaces torch's functions at its first call and leaves them replaced: nothing may be measured after it.
        traced = _measured({"all": lambda: torchlens.trace(model, images)}, rounds)["all"]
        yield _ratio(f"{subject}TorchLens {torchlens.__version__}, every output", traced, seconds["plain"])


def _bare_hooks(model: nn.Module, images: Tensor) -> None:
    """The least that anybody could do: the outputs as they are, later overwritten or not."""
    kept: list[object] = []
    handles = [part.register_forward_hook(lambda *call: kept.append(call[2])) for part in model.modules()]
    model(images)
    for handle in handles:
        handle.remove()


def _early_stage(torchvision: ModuleType, batch: int, rounds: int) -> Iterator[Figure]:
    """resnet18 up to ``layer2``, beside the same modules called by hand."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    images = torch.randn(batch, 3, 224, 224)
    extractors = {engine: create_feature_extractor(model, ["layer2"], engine=engine) for engine in ("fx", "hooks")}

    def by_hand() -> Tensor:
        early: Tensor = model.layer2(model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(images))))))
        return early

    actions: dict[str, Callable[[], object]] = {"plain": lambda: model(images), "by hand": by_hand}
    actions |= {engine: lambda extractor=extractor: extractor(images) for engine, extractor in extractors.items()}
    seconds = _measured(actions, _SHORT * rounds)
    subject = f"torchvision resnet18, batch {batch}: "
    yield _ratio(f"{subject}its modules by hand", seconds["by hand"], seconds["plain"])
    for engine in extractors:
        name = f"{subject}layer2, {engine}"
        yield _ratio(name, seconds[engine], seconds["plain"], _EARLY if batch == 1 else None)
        yield _ratio(f"{name}, against by hand", seconds[engine], seconds["by hand"], _BY_HAND)


def _measured(actions: Actions, rounds: int) -> dict[str, Seconds]:
    with torch.no_grad():
        return interleave(actions, rounds)


def _ratio(subject: str, part: Seconds, whole: Seconds, goal: float | None = None) -> Figure:
    details = " against ".join(f"{1e3 * statistics.median(seconds):.1f} ms" for seconds in (part, whole))
    return Figure(subject, median_ratio(part, whole), "x", goal, details=details)
