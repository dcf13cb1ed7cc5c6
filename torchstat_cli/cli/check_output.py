"""Where a verdict goes: standard output, extra files, GitHub, and what went wrong to standard error."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from torchstat_cli.cli.messages import complain, notice
from torchstat_cli.cli.streams import results
from torchstat_cli.errors import OutputError
from torchstat_cli.gate.config import GateConfig
from torchstat_cli.gate.verdict import UNDECIDED, Verdict
from torchstat_cli.report.terminal import Terminal
from torchstat_cli.report.verdict.text import TextStyle, render_text
from torchstat_cli.report.writing import append, write


@dataclass(frozen=True, slots=True)
class Output:
    """The forms that were asked for."""

    form: str  # on standard output
    style: TextStyle
    files: tuple[tuple[str, str], ...]  # (form, file)
    github: bool  # annotations, in GitHub Actions
    summary: str | None  # file of the step summary there

    @classmethod
    def of(cls, options: dict[str, Any]) -> Output:
        """The output settings of a command line."""
        style = TextStyle(
            explain=options["explain"],
            top=options["top"],
            quiet=options["quiet"],
            verbose=options["verbose"],
            color=Terminal.detect(results()).color,
        )
        files = tuple(
            (form, options[f"{form}_file"]) for form in ("json", "markdown", "junit") if options[f"{form}_file"]
        )
        github = os.environ.get("GITHUB_ACTIONS") == "true" and not options["no_github"]
        return cls(options["form"], style, files, github, os.environ.get("GITHUB_STEP_SUMMARY") if github else None)


@dataclass(frozen=True, slots=True)
class Publication:
    """A verdict in every asked-for form, so that nothing about the verdict can fail once it is being written."""

    notices: tuple[str, ...]
    text: str  # for standard output
    problems: tuple[tuple[str, str], ...]  # what could not be decided, and what mends it
    annotations: str  # for standard error, in GitHub Actions
    summary: str  # for the step summary there
    files: tuple[tuple[str, str], ...]  # (text, file)


def prepare(verdict: Verdict, output: Output, config: GateConfig) -> Publication:
    """The verdict in every form that ``output`` asks for."""
    folder = _folder_in_repository(config)
    undecided = [model for model in verdict.models if model.state in UNDECIDED]
    # GitHub reads commands on both streams, and standard output belongs to the chosen form.
    annotated = output.github and output.form != "github"
    return Publication(
        notices=verdict.notices,
        text=_rendered(verdict, output.form, output.style, folder),
        problems=tuple((f"{model.name}: {model.problem}", model.remedy or "") for model in undecided),
        annotations=_rendered(verdict, "github", output.style, folder) if annotated else "",
        summary=_rendered(verdict, "markdown", output.style, folder) if output.summary else "",
        files=tuple((_rendered(verdict, form, output.style, folder), file) for form, file in output.files),
    )


def publish(publication: Publication, output: Output) -> None:
    """Write a verdict everywhere it was asked for.

    Raises:
        OutputError: a file cannot be written; standard output has the verdict by then.
    """
    for text in publication.notices:
        notice(text)
    write(publication.text, None, results())
    for problem, remedy in publication.problems:
        complain(problem, remedy)
    click.echo(publication.annotations, err=True, nl=False)
    if output.summary:
        try:
            append(publication.summary, output.summary, results())
        except OutputError as error:
            notice(f"the step summary could not be written: {error.message}")
    for text, file in publication.files:
        write(text, file, results())


def _rendered(verdict: Verdict, form: str, style: TextStyle, folder: str) -> str:
    # Each form is imported when it is asked for: XML alone takes longer than the text report.
    if form == "json":
        from torchstat_cli.report.verdict.json import render_json

        return render_json(verdict)
    if form == "markdown":
        from torchstat_cli.report.verdict.markdown import render_markdown

        return render_markdown(verdict, style.top)
    if form == "junit":
        from torchstat_cli.report.verdict.junit import render_junit

        return render_junit(verdict)
    if form == "github":
        from torchstat_cli.report.verdict.github import render_github

        return render_github(verdict, folder)
    return render_text(verdict, style)


def _folder_in_repository(config: GateConfig) -> str:
    """Where the configuration lies, as seen from the root that GitHub's annotations are relative to."""
    root = os.environ.get("GITHUB_WORKSPACE") or os.getcwd()
    home = config.path.parent if config.path else Path.cwd()
    try:
        return home.resolve().relative_to(Path(root).resolve()).as_posix()
    except ValueError:
        return ""
