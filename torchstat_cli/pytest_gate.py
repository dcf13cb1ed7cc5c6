"""What one pytest session checks, remembers and finally writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchstat_cli.errors import ModelstatError
from torchstat_cli.foreign_text import printable
from torchstat_cli.gate.baseline.files import load_baseline, save_baseline
from torchstat_cli.gate.baseline.json import read_baseline, write_baseline
from torchstat_cli.gate.baseline.locking import sole_writer
from torchstat_cli.gate.baseline.snapshot import LIVE, Snapshot
from torchstat_cli.gate.baseline.update import updated
from torchstat_cli.gate.config import ModelEntry, read_rules
from torchstat_cli.gate.config_file import find_config
from torchstat_cli.gate.judge import take_snapshot
from torchstat_cli.gate.metrics import METRICS
from torchstat_cli.gate.run import References, Request, decide, find_references
from torchstat_cli.gate.verdict import State, Verdict
from torchstat_cli.records import Profile
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.verdict.text import TextStyle, render_text
from torchstat_cli.tasks.check import measure_entry, measure_live


class SessionGate:
    """The gate of one session, configured by the files of ``root``."""

    def __init__(self, root: Path, *, update: bool) -> None:
        self._root = root
        self._update = update
        self._taken: dict[str, Snapshot] = {}
        self._new: set[str] = set()
        self._notices: dict[str, None] = {}  # each once, in order
        self._written = False
        self._problem: ModelstatError | None = None  # why nothing was written

    def check(self, model: Any, inputs: tuple[Any, ...], name: str | None, limits: Mapping[str, Any]) -> Verdict:
        """Judge one model, and fail the running test where it is over a limit or cannot be judged."""
        judged = self._judge_or_error(model, inputs, name, limits)
        if isinstance(judged, ModelstatError):
            # Not where it was caught: pytest would print it once more as the context of the failure.
            pytest.fail(f"error: {judged}", pytrace=False)
        verdict = judged
        self._notices |= dict.fromkeys(verdict.notices)
        self._new |= {found.name for found in verdict.having(State.NEW)}
        if verdict.state is State.ERROR:
            (undecided,) = verdict.models
            told = cleaned(undecided)
            pytest.fail(f"error: {told.name}: {told.problem}\n  {told.remedy or ''}", pytrace=False)
        if verdict.state is State.FAIL:
            pytest.fail(render_text(verdict, TextStyle(quiet=True)), pytrace=False)
        return verdict

    def _judge_or_error(self, *asked: Any) -> Verdict | ModelstatError:
        try:
            return self._judge(*asked)
        except ModelstatError as error:
            return error

    def _judge(self, model: Any, inputs: tuple[Any, ...], name: str | None, limits: Mapping[str, Any]) -> Verdict:
        config = find_config(self._root)
        if isinstance(model, str):
            (entry,) = config.select((model,))
            entry = replace(entry, directory=str(self._root)) if entry.directory == "." else entry
        else:
            entry = ModelEntry(name or "", f"{LIVE}{type(model).__module__}:{type(model).__qualname__}", config.rules)
        rules = read_rules(limits, "the test", METRICS)
        entry = replace(entry, name=name or entry.name, rules={**entry.rules, **rules})
        request = Request((entry.name,), update=self._update)
        references = find_references(config, (entry,), request)
        profile: Profile | ModelstatError
        try:
            profile = measure_entry(entry) if isinstance(model, str) else measure_live(model, inputs)
        except ModelstatError as error:
            profile = error
        if self._update and isinstance(profile, Profile):
            self._taken[entry.name] = take_snapshot(entry, profile)
            references = References({**(references.committed or {}), entry.name: self._taken[entry.name]})
        verdict = decide(config, (entry,), {entry.name: profile}, references, request)
        return replace(verdict, update_command="pytest --modelstat-update")

    def dump(self) -> str:
        """What this process has to tell the one that writes."""
        return json.dumps(
            {"taken": write_baseline(self._taken), "new": sorted(self._new), "notices": list(self._notices)}
        )

    def absorb(self, text: str) -> None:
        """Take over what another process dumped."""
        told = json.loads(text)
        self._taken |= read_baseline(told["taken"])
        self._new |= set(told["new"])
        self._notices |= dict.fromkeys(told["notices"])

    def save(self) -> bool:
        """Write the measured models into the baseline, the other entries kept; False where that was not possible."""
        if not self._taken:
            return True
        try:
            path = find_config(self._root).baseline
            with sole_writer(path):
                self._written = save_baseline(path, updated(load_baseline(path) or {}, self._taken))
        except ModelstatError as error:
            self._taken, self._problem = {}, error
        return self._problem is None

    def summary(self) -> Iterator[str]:
        """Lines for the end of the session."""
        yield from map(printable, self._summary())

    def _summary(self) -> Iterator[str]:
        yield from (f"note: {text}" for text in self._notices)
        if self._problem is not None:
            yield from f"error: {self._problem}".splitlines()
        if self._taken:
            path = find_config(self._root).baseline
            names = ", ".join(sorted(self._taken))
            yield f"wrote {names}: now commit {path}" if self._written else f"{path} is up to date with {names}"
        if self._new:
            names = ", ".join(sorted(self._new))
            yield f"no baseline entry yet, only ceilings were judged: {names}; write one: pytest --modelstat-update"
