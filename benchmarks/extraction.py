"""What extraction costs, as ratios of CPU time to the plain forward pass of the same model and inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

import torch
from torch import Tensor, nn

from benchmarks.figures import Figure, Settings
from benchmarks.libraries import import_library
from benchmarks.timing import Seconds, interleave
from torchstat_cli.activations import KeepOptions, ObserveOptions, create_feature_extractor, observe

_MODULES = 1.2  # every module output: hooks and copies that are only made when somebody writes
_OPERATORS = 2.0  # every operator too: Python hears of each
_EARLY = 0.6  # only an early stage, one image: the rest does not run
_BY_HAND = 1.05  # against calling the stage's modules oneself, which is what cannot be beaten

_SHORT = 4  # times as many rounds: these runs are short, and two equal ones differ by more than the promise otherwise

Actions = Mapping[str, Callable[[], object]]


def figures(settings: Settings) -> Iterator[Figure]:
    """Everything inside a vision transformer, then an early stage of a residual network; one thread, no gradients."""
    torch.set_num_threads(1)
    with torch.no_grad():
        timm, torchvision = import_library("timm"), import_library("torchvision")
        if timm is not None:
            yield from _inside_a_transformer(timm, settings.rounds)
        if torchvision is not None:
            for batch in (1, 4):
                yield from _early_stage(torchvision, batch, settings.rounds)


def _inside_a_transformer(timm: ModuleType, rounds: int) -> Iterator[Figure]:
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
        "every module output": lambda: modules(images),
        "every operator and module output": lambda: observed("type:Module", "op:*"),
        "12 attention maps": lambda: observed("attn"),
    }
    seconds = interleave(actions, rounds)
    for name, goal in (*zip(list(actions)[1:], (_MODULES, _OPERATORS, None), strict=True),):
        yield _ratio(f"timm vit_tiny, batch 8: {name}", seconds[name], seconds["plain"], goal)
    torchlens = import_library("torchlens")
    if torchlens is not None:
        # It replaces torch's functions at its first call and leaves them replaced, so nothing is measured after it.
        traced = interleave({"all": lambda: torchlens.trace(model, images)}, rounds)["all"]
        name = f"timm vit_tiny, batch 8: TorchLens {torchlens.__version__}, every operator output"
        yield _ratio(name, traced, seconds["plain"])


def _early_stage(torchvision: ModuleType, batch: int, rounds: int) -> Iterator[Figure]:
    """resnet18 up to ``layer2``, beside the same modules called by hand."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    images = torch.randn(batch, 3, 224, 224)
    extractors = {engine: create_feature_extractor(model, ["layer2"], engine=engine) for engine in ("fx", "hooks")}

    def by_hand() -> Tensor:
        result: Tensor = model.maxpool(model.relu(model.bn1(model.conv1(images))))
        return model.layer2(model.layer1(result))

    actions: dict[str, Callable[[], object]] = {"plain": lambda: model(images), "by hand": by_hand}
    actions |= {engine: lambda extractor=extractor: extractor(images) for engine, extractor in extractors.items()}
    seconds = interleave(actions, _SHORT * rounds)
    subject = f"torchvision resnet18, batch {batch}: "
    yield _ratio(f"{subject}conv1 to layer2 called by hand", seconds["by hand"], seconds["plain"])
    for engine in extractors:
        name = f"{subject}only layer2, engine {engine}"
        yield _ratio(name, seconds[engine], seconds["plain"], _EARLY if batch == 1 else None)
        yield _ratio(f"{name}, against by hand", seconds[engine], seconds["by hand"], _BY_HAND)


def _ratio(subject: str, part: Seconds, whole: Seconds, goal: float | None = None) -> Figure:
    # The least of each: on a shared machine every disturbance adds.
    least = min(part), min(whole)
    details = " against ".join(f"{1e3 * seconds:.1f} ms" for seconds in least)
    return Figure(subject, least[0] / least[1], "x", goal, details=details)
