"""``modelstat check``: measure the configured models, judge them, and say it in every asked-for form."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import click

from torchstat_cli.cli.check_output import Output, Publication, prepare, publish
from torchstat_cli.cli.progress import progress
from torchstat_cli.errors import UsageError
from torchstat_cli.gate.config import GateConfig, ModelEntry
from torchstat_cli.gate.config_file import find_config, load_config
from torchstat_cli.gate.config_table import LARGEST
from torchstat_cli.gate.run import Request, decide, find_references, write
from torchstat_cli.gate.verdict import Verdict

_EPILOG = """\b
A limit is +N% or +N of growth since the baseline, N as a ceiling, or off.
Equal passes, greater fails. Without configuration: params=+1% flops=+1%.

\b
Exit codes: 0 nothing broken, 1 a limit is broken, 2 could not decide.
"""


class _Seconds(click.FloatRange):
    """A number of seconds above 0; unlike click's own ranges it refuses NaN, which no comparison refuses."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=LARGEST)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        seconds: float = super().convert(value, parameter, context)
        return seconds if seconds > 0 else self.fail("nan is no number of seconds.", parameter, context)


@click.command(epilog=_EPILOG)
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--limit", "limits", multiple=True, metavar="METRIC=LIMIT", help="Over the configuration; repeatable.")
@click.option("--input", "inputs", multiple=True, metavar="SPEC", help="Input of the checked models; repeatable.")
@click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Instead of the configured one.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Read this configuration."
)
@click.option("--against", metavar="REF", help="Compare with the baseline where this branch forked from REF.")
@click.option("--update", is_flag=True, help="Write the numbers of the checked models into the baseline.")
@click.option("--ratchet", is_flag=True, help="Like --update, but only numbers that got smaller.")
@click.option("--yes", is_flag=True, help="Allow --update and --ratchet although CI is set.")
@click.option("--strict", is_flag=True, help="New, gone, inherited, partial and unbanked better models fail too.")
@click.option("--exit-zero", is_flag=True, help="Report only: broken limits exit 0; errors still exit 2.")
@click.option("--explain/--no-explain", default=None, help="Why it grew; by default for failures.")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Layer groups to list.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "junit", "github"]),
    default="text",
    show_default=True,
    help="What standard output carries.",
)
@click.option("--json", "json_file", metavar="FILE", help="An extra copy as JSON.")
@click.option("--markdown", "markdown_file", metavar="FILE", help="An extra copy as Markdown.")
@click.option("--junit", "junit_file", metavar="FILE", help="An extra copy as JUnit XML.")
@click.option("--no-github", is_flag=True, help="No annotations and no step summary in GitHub Actions.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Worker processes; default one per processor.")
@click.option("--timeout", type=_Seconds(), metavar="SECONDS", help="For one model; default 600.")
@click.option("--show-config", is_flag=True, help="Print what is configured, and where, and stop.")
@click.option("-q", "--failures", "quiet", is_flag=True, help="Failures only.")
@click.option("-v", "--verbose", is_flag=True, help="Every metric of every model.")
def command(**options: Any) -> int:
    """Fail when a model costs more than it may, and say which layers and why.

    MODEL is a configured name or a MODULE:FACTORY spec; none means every configured model. Checking a model runs its
    code.
    """
    settings = _Settings.of(options)
    entries = settings.config.select(settings.request.names)
    if settings.inputs:
        entries = tuple(replace(entry, inputs=settings.inputs, inputs_factory=None) for entry in entries)
    if options["show_config"]:
        # Only this branch prints the configuration, so only it pays for the import.
        from torchstat_cli.report.verdict.config import render_config

        click.echo(render_config(settings.config, entries), nl=False)
        return 0
    return _check(settings, entries)


@dataclass(frozen=True)
class _Settings:
    """The command line, understood."""

    config: GateConfig
    request: Request
    output: Output
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, options: dict[str, Any]) -> _Settings:
        request = Request(**{field.name: options[field.name] for field in fields(Request)})
        if (request.update or request.ratchet) and not options["yes"] and _in_ci():
            flag = "--update" if request.update else "--ratchet"
            raise UsageError(
                f"{flag} is refused in CI: a gate that moves its own baseline guards nothing",
                f"run it where you work and commit the file, or say it twice:  modelstat check {flag} --yes",
            )
        if options["quiet"] and options["verbose"]:
            raise UsageError("-q and -v contradict each other", "keep one of the two")
        return cls(_configuration(options), request, Output.of(options), options["inputs"])


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def _configuration(options: dict[str, Any]) -> GateConfig:
    file, baseline = options["config_file"], options["baseline"]
    config = load_config(file) if file else find_config(Path.cwd())
    if baseline:
        config = replace(config, baseline=Path.cwd() / baseline, baseline_origin="--baseline")
    overrides = {name: options[name] for name in ("jobs", "timeout") if options[name] is not None}
    return replace(config, **overrides).with_limits(options["limits"])


def _check(settings: _Settings, entries: tuple[ModelEntry, ...]) -> int:
    """Measure, judge, publish; the exit code."""
    config, request = settings.config, settings.request
    # Everything that can be refused is refused before a model is built.
    references = find_references(config, entries, request)
    from torchstat_cli.tasks.check import measure_entries

    with progress("checking", [entry.name for entry in entries]) as done:
        outcomes = measure_entries(entries, jobs=config.jobs, timeout=config.timeout, done=done)
    if click.get_current_context().find_root().params.get("debug"):
        for outcome in outcomes.values():
            click.echo(getattr(outcome, "details", None) or "", err=True, nl=False)
    prepared: list[Publication] = []

    def ready(verdict: Verdict) -> None:
        prepared.append(prepare(verdict, settings.output, config))

    if request.update or request.ratchet:
        # Rendered before the file is replaced: what cannot be shown is not written either.
        verdict = write(config, entries, outcomes, references, request, ready)
    else:
        verdict = decide(config, entries, outcomes, references, request)
        ready(verdict)
    publish(prepared[0], settings.output)
    return verdict.exit_code
