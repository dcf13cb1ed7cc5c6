"""`torch.func` transforms: around an extractor, and inside an observed model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from torchstat_cli.activations import Extractor, create_feature_extractor, observe

X = torch.randn(3, 4)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.a(x).chunk(2, -1)[0] * 2


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode uses it
@pytest.mark.parametrize("engine", ["fx", "hooks", "runtime"])
@pytest.mark.parametrize("name", ["a", "chunk"])
def test_transforms_around_an_extractor(engine: str, name: str) -> None:
    if (engine, name) == ("hooks", "chunk"):
        pytest.skip("no module")
    model = Plain()
    extractor = create_feature_extractor(model, [name], engine=engine)

    def taken(x: Tensor) -> Tensor:
        value = extractor(x)[name]
        return value if isinstance(value, Tensor) else torch.cat(value, -1)

    assert torch.allclose(vmap(taken)(X), model.a(X))
    assert torch.allclose(jacrev(taken)(X[0]), model.a.weight)
    assert torch.allclose(jacfwd(taken)(X[0]), model.a.weight)
    assert torch.allclose(jvp(taken, (X[0],), (X[1],))[1], model.a.weight @ X[1])
    assert torch.allclose(vmap(jacrev(taken))(X)[2], model.a.weight)
    expected = 2 * model.a.weight.T @ model.a.weight
    assert torch.allclose(hessian(lambda x: taken(x).square().sum())(X[0]), expected, atol=1e-5)


class Mapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return vmap(self.inner)(x)


class LearnsAtTestTime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        parameters = dict(self.inner.named_parameters())
        gradients = grad(lambda p: functional_call(self.inner, p, (x,)).square().sum())(parameters)
        return x @ gradients["weight"]


@pytest.mark.parametrize("engine", ["auto", "hooks", "runtime"])
@pytest.mark.parametrize("kind", [Mapped, LearnsAtTestTime])
def test_transforms_inside_the_model(engine: str, kind: type[nn.Module]) -> None:
    model = kind().eval()
    value = create_feature_extractor(model, ["inner"], engine=engine)(X)["inner"]
    assert torch.allclose(value + 0, model.inner(X))
    with observe(model, ["inner"]) as observation:
        model(X)
    assert torch.allclose(observation["inner"], model.inner(X))
    assert not observation["inner"].requires_grad


def test_mapped_axes_come_first_the_outermost_before_all() -> None:
    model, x = Plain(), torch.randn(4, 5, 6)
    with observe(model, ["a"]) as observation:
        vmap(vmap(model, in_dims=1), in_dims=2)(x)
    assert torch.allclose(observation["a"], model.a(x.permute(2, 1, 0)), atol=1e-6)


def test_vit_pytorchs_extractor() -> None:
    model = Mapped()
    assert torch.allclose(Extractor(model, layer_name="inner")(X)[1] + 0, model.inner(X))
