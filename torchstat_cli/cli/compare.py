"""``modelstat compare A B``: two models or saved reports side by side."""

from __future__ import annotations

import os

import click

from torchstat_cli.cli.messages import notice
from torchstat_cli.cli.options import output_options
from torchstat_cli.cli.streams import results
from torchstat_cli.errors import ModelstatError, UsageError
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.records import Profile


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--input", "inputs", multiple=True, metavar="SPEC", help="Input of the models, e.g. 1,3,224,224; repeatable."
)
@click.option("--mode", type=click.Choice(["eval", "train"]), default="eval", show_default=True, help="Of the models.")
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Layer groups to list.")
@output_options("text", "markdown", "json")
def command(
    before: str, after: str, inputs: tuple[str, ...], mode: str, top: int, form: str, output: str | None
) -> None:
    """What differs between A and B: totals, layer groups, modules that came and went.

    A and B are model specs or reports saved with `modelstat MODEL --format json --output FILE.json`. Nothing is judged:
    the exit code is 0 however much B costs.
    """
    from torchstat_cli.gate.compare import compare_profiles
    from torchstat_cli.report.verdict.comparison import render_comparison
    from torchstat_cli.report.writing import check_place, write

    check_place(output)
    profiles = _profiles((before, after), inputs, mode)
    comparison = compare_profiles(*profiles, names=(before, after))
    for caution in comparison.cautions:
        notice(f"not quite comparable, {caution}")
    write(render_comparison(comparison, form, top), output, results())


def _profiles(names: tuple[str, str], inputs: tuple[str, ...], mode: str) -> tuple[Profile, Profile]:
    """Both profiles: reports are read, models measured in worker processes."""
    reports = {name: _read(name) for name in names if _is_report(name)}
    specs = [name for name in dict.fromkeys(names) if name not in reports]
    if not specs and inputs:
        raise UsageError("--input was given, but both sides are saved reports", "leave --input out")
    profiles = {**reports, **_measured(specs, inputs, mode)}
    before, after = names
    return profiles[before], profiles[after]


def _is_report(name: str) -> bool:
    """A file that ends in .json is a report; ``hf/`` specs may end so too."""
    return name.endswith(".json") and (os.path.isfile(name) or not name.startswith("hf/"))


def _read(name: str) -> Profile:
    from torchstat_cli.report.profile.saved import read_report

    return read_report(name)


def _measured(specs: list[str], inputs: tuple[str, ...], mode: str) -> dict[str, Profile]:
    if not specs:
        return {}
    from torchstat_cli.gate.run import spec_notices
    from torchstat_cli.tasks.check import measure_entries

    outcomes = measure_entries([ModelEntry(spec, spec, {}, inputs=inputs, mode=mode) for spec in specs])
    for text in spec_notices(outcomes):
        notice(text)
    for spec, outcome in outcomes.items():
        if isinstance(outcome, ModelstatError):
            outcome.notices = ()  # shown above
            outcome.message = f"{spec}: {outcome.message}"
            raise outcome
    return {spec: outcome for spec, outcome in outcomes.items() if isinstance(outcome, Profile)}
