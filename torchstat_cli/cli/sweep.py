"""``modelstat sweep SPEC…``: many models, one table."""

from __future__ import annotations

from typing import Any

import click

from torchstat_cli.cli.messages import notice
from torchstat_cli.cli.options import ONLINE, output_options
from torchstat_cli.cli.progress import progress
from torchstat_cli.cli.streams import foreign_code, results
from torchstat_cli.errors import UsageError
from torchstat_cli.report.sweep import SWEEP_FORMATS, check_sort, render


@click.command(name="sweep")
@click.argument("specs", metavar="SPEC…", nargs=-1)
@click.option("--from", "listed", metavar="FILE", help="Also the specs of a text file, one a line.")
@click.option(
    "--input", "inputs", multiple=True, metavar="SPEC", help="Of every model instead of its own example; repeatable."
)
@click.option(
    "--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="An argument of every factory; repeatable."
)
@click.option(
    "--vary",
    multiple=True,
    metavar="WHAT=A,B,…",
    help="A row for each value: batch=1,8, input.H=224,320, input_ids.1=128,512 or arg.depth=2,4; repeatable.",
)
@click.option("--dtype", metavar="DTYPE", help="Of floating parameters and inputs.")
@click.option("--mode", type=click.Choice(["eval", "train"]), default="eval", show_default=True, help="Training flags.")
@click.option("--memory", is_flag=True, help="The simulated peak too.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Worker processes; default one per processor, at most eight.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Seconds for one model; default no limit.",
)
@click.option("--memory-limit", metavar="SIZE", help="What one worker may allocate, e.g. 4GiB.")
@click.option("--sort", metavar="COLUMN", help="Order rows by a column; numbers descend, with a leading - they ascend.")
@ONLINE
@output_options(*SWEEP_FORMATS)
def command(
    specs: tuple[str, ...],
    listed: str | None,
    inputs: tuple[str, ...],
    arguments: tuple[str, ...],
    vary: tuple[str, ...],
    dtype: str | None,
    mode: str,
    memory: bool,
    jobs: int | None,
    timeout: float | None,
    memory_limit: str | None,
    sort: str | None,
    online: bool,
    form: str,
    output: str | None,
) -> int:
    """Params, FLOPs, MAdds and memory of many models, a row each, measured in worker processes.

    SPEC is a model as `modelstat MODEL` takes it, or a pattern in quotes: 'timm/vit_*', 'torchvision/*',
    'hf/configs/*'. A model that fails, takes too long or kills its process is a row that says so. With --output a sweep
    that was interrupted goes on where it was: run the same command again.
    """
    from torchstat_cli.report.writing import check_place, write

    check_place(output)
    with foreign_code():
        from torchstat_cli.tasks.sweep.ledger import Ledger
        from torchstat_cli.tasks.sweep.measuring import SweepSettings
        from torchstat_cli.tasks.sweep.run import SweepRequest, recorded, run_sweep

        settings = SweepSettings(inputs, arguments, dtype, mode, memory, online=online)
        settings.check()
        limit = None if memory_limit is None else _nbytes(memory_limit)
        request = SweepRequest(jobs, timeout, limit)
        tasks = _tasks(specs, listed, vary)
        check_sort(sort, tasks[0].variant)
        ledger = Ledger(output, recorded(settings)) if output not in (None, "-") else None
        names = [task.model for task in tasks]
        if ledger is not None and ledger.rows:
            notice(f"{len(ledger.rows)} rows are done already, in {ledger.path}")
        with progress("measuring", names) as done:
            result = run_sweep(tasks, settings, request, ledger, done)
    write(render(result, form, sort), output, results())
    if ledger is not None:
        ledger.close()
    return 0 if result.failed < len(result.rows) else 2


def _nbytes(text: str) -> int:
    from torchstat_cli.units import parse_quantity

    try:
        return parse_quantity(text)
    except ValueError as error:
        raise UsageError(f"--memory-limit: {error}", "write it as 4GiB") from error


def _tasks(specs: tuple[str, ...], listed: str | None, vary: tuple[str, ...]) -> list[Any]:
    from torchstat_cli.loading.providers import names_of
    from torchstat_cli.tasks.sweep.models import expand, listed_models
    from torchstat_cli.tasks.sweep.variants import parse_variants, tasks_of

    if not specs and listed is None:
        raise UsageError("there is nothing to sweep", "name models, a pattern such as 'timm/vit_*', or --from FILE")
    varied = parse_variants(vary)
    return tasks_of(expand((*specs, *(listed_models(listed) if listed else ())), names_of), varied)
