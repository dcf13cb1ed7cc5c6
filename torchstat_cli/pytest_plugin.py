"""The gate inside pytest: the fixture ``modelstat_check``, the marker of the same name, ``--modelstat-update``.

pytest imports this file in every run of every project that has modelstat installed, so whatever is heavy comes late.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torchstat_cli.gate.verdict import Verdict
    from torchstat_cli.pytest_gate import SessionGate

_GATE = pytest.StashKey["SessionGate"]()
_MARKER = "modelstat_check(model, **limits): fail when the configured model, or MODULE:FACTORY, breaks a limit"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--modelstat-update``."""
    group = parser.getgroup("modelstat")
    group.addoption(
        "--modelstat-update",
        action="store_true",
        help="write the numbers of the checked models into the baseline instead of judging their growth",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and refuse to move the baseline in CI."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("--modelstat-update") and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise pytest.UsageError("--modelstat-update is refused in CI: it would let any growth pass")


def _gate(config: pytest.Config) -> SessionGate:
    from torchstat_cli.pytest_gate import SessionGate

    if _GATE not in config.stash:
        config.stash[_GATE] = SessionGate(config.rootpath, update=bool(config.getoption("--modelstat-update")))
    return config.stash[_GATE]


@pytest.fixture
def modelstat_check(request: pytest.FixtureRequest) -> Callable[..., Verdict]:
    """Check a model: ``modelstat_check("vit_tiny")`` or ``modelstat_check(module, torch.zeros(1, 8), flops="3 G")``.

    The function takes a configured name, a ``MODULE:FACTORY`` spec or a live module with its inputs. ``name=`` says
    what the baseline calls it (for a module: the test's name), other keywords are limits. It returns the verdict, and
    fails the test where a limit is broken or nothing could be decided.
    """
    gate = _gate(request.config)

    def check(model: Any, *inputs: Any, name: str | None = None, **limits: Any) -> Verdict:
        return gate.check(model, inputs, name or (None if isinstance(model, str) else request.node.name), limits)

    return check


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Judge the models that markers name, before the test itself runs."""
    for marker in item.iter_markers("modelstat_check"):
        if not marker.args:
            pytest.fail('the marker modelstat_check names no model; write modelstat_check("NAME")', pytrace=False)
        for model in marker.args:
            _gate(item.config).check(model, (), None, marker.kwargs)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was measured; a worker of pytest-xdist hands it to its controller, so that one process writes."""
    if _GATE not in session.config.stash:
        return
    gate = session.config.stash[_GATE]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["modelstat"] = gate.dump()
    elif not gate.save():
        session.exitstatus = pytest.ExitCode.INTERRUPTED  # 2, which is the gate's "could not decide" too


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist measured."""
    text = getattr(node, "workeroutput", {}).get("modelstat")
    if text:
        _gate(node.config).absorb(text)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was written, and which models are not guarded yet."""
    lines = list(_summary(config))
    if lines:
        terminalreporter.section("modelstat")
        for line in lines:
            terminalreporter.line(line)


def _summary(config: pytest.Config) -> Iterator[str]:
    if _GATE in config.stash:
        yield from config.stash[_GATE].summary()
