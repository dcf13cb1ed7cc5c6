"""Ctrl-C at any moment of any public call leaves the model, its hooks and torch as they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.interrupt_trials import CALLS
from torchstat_cli.torch_access.interrupts import held_back, let_through

TRIALS = int(os.environ.get("MODELSTAT_INTERRUPT_TRIALS", "20"))
ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("name", CALLS)
def test_interrupt_at_a_random_moment(name: str) -> None:
    command = [sys.executable, "-m", "tests.contracts.interrupt_trials", name, str(TRIALS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert [outcome for outcome in outcomes if outcome not in ("clean", "missed")] == []
    assert outcomes.count("clean") > TRIALS / 2


def test_signal_in_a_held_section_is_handled_at_its_end() -> None:
    seen: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append("handled"))
    try:
        with held_back():
            signal.raise_signal(signal.SIGUSR1)
            seen.append("held")
            with let_through():
                seen.append("open")
                signal.raise_signal(signal.SIGUSR1)
            seen.append("closed")
            signal.raise_signal(signal.SIGUSR1)
            seen.append("end")
        assert seen == ["held", "handled", "open", "handled", "closed", "end", "handled"]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_handler_that_the_section_installs_stays() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        with held_back():

            def own(number: int, frame: Any) -> None:
                """Installed by foreign code."""

            signal.signal(signal.SIGUSR1, own)
        assert signal.getsignal(signal.SIGUSR1) is own
    finally:
        signal.signal(signal.SIGUSR1, before)
