"""``modelstat``: find the command, run it, and be the only place that prints errors and sets exit codes.

0 done, nothing broken · 1 a limit is broken, nothing else · 2 could not decide.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import click
from click.shell_completion import shell_complete

from torchstat_cli.cli.messages import complain, notice
from torchstat_cli.cli.streams import results_alone
from torchstat_cli.errors import ModelstatError, UsageError
from torchstat_cli.foreign_text import named, shown
from torchstat_cli.torch_version import require_torch
from torchstat_cli.version import __version__

COMMANDS = {
    "profile": "What a model costs, per module or per operator (the default command).",
    "check": "The CI gate: fail when a model got dearer, and say why.",
    "compare": "Two models or saved reports side by side.",
    "sweep": "Many models, a row each.",
    "fit": "The largest batch, or sequence, that fits a memory size.",
    "nodes": "The names whose activations can be extracted.",
    "explain": "How a number comes about: formula, numbers put in, sum.",
    "ops": "The operators that have a formula, and what it says.",
}
"""Command name, which is also the file in this folder, and its line in ``--help``: read without importing the file."""

GLOBAL_FLAGS = ("--debug", "--quiet", "--no-color")
DEFAULT_COMMAND = "profile"
EXIT_UNDECIDED = 2
_COMPLETION = "_MODELSTAT_COMPLETE"  # the variable by which a shell asks for completions


class LazyGroup(click.Group):
    """A group that imports a command's file only when that command runs; a first word that is no command is a model."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        require_torch()
        command: click.Command = import_module(f"torchstat_cli.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            # A model is followed by options; a word like a command that is followed by another word is a typo.
            close = get_close_matches(args[0], COMMANDS, n=1)
            if close and args[1:] and not args[1].startswith("-"):
                raise click.UsageError(f"there is no command {args[0]!r}; did you mean {close[0]}?", ctx)
            several = len(args) > 1 and not args[1].startswith("-")
            args = ["sweep" if several else DEFAULT_COMMAND, *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options of the default command may come before the model: ``modelstat --depth 1 resnet18``."""
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        words = [arg for arg in args if arg.partition("=")[0] not in own]
        if words and words[0].startswith("-") and not any(word in COMMANDS for word in words):
            args = [*(arg for arg in args if arg not in words), DEFAULT_COMMAND, *words]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Loading a model runs its code. `modelstat COMMAND --help` tells the options of a command.",
)
@click.option("--debug", is_flag=True, help="Show the whole traceback of an error.")
@click.option("--quiet", is_flag=True, help="No notices and no progress on standard error.")
@click.option("--no-color", is_flag=True, help="No colours; NO_COLOR=1 does the same.")
@click.version_option(__version__, prog_name="modelstat")
def modelstat(debug: bool, quiet: bool, no_color: bool) -> None:
    """What a PyTorch model costs and what happens inside it.

    \b
    modelstat resnet18 --input 1,3,224,224     params, FLOPs, MAdds and memory per module
    modelstat resnet18 --format csv            for spreadsheets
    modelstat mypackage.models:build --arg depth=12
    """
    if no_color:
        os.environ["NO_COLOR"] = "1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: of a call from Python. None takes those of the process, which is then ours: it should end afterwards.
    """
    words = _global_options_first(list(sys.argv[1:] if arguments is None else arguments))
    debug, quiet = "--debug" in words, "--quiet" in words
    with results_alone(for_good=arguments is None):
        try:
            return _run(words)
        except click.exceptions.Exit as stop:  # --help and --version
            return EXIT_UNDECIDED if stop.exit_code else 0
        except ModelstatError as error:
            for text in () if quiet else error.notices:
                notice(text)
            return _report(error.message, "\n".join(filter(None, (error.context, error.hint))), error, debug)
        except click.UsageError as error:
            return _report(error.format_message(), _usage_hint(error), error, debug)
        except (KeyboardInterrupt, click.Abort) as error:
            return _report("interrupted", None, error, debug)
        except BrokenPipeError:
            return EXIT_UNDECIDED  # the reader has gone (| head), and nobody is left to read anything
        except click.ClickException as error:
            return _report(error.format_message(), None, error, debug)
        except MemoryError as error:
            return _report("out of memory", "use --device meta, a smaller batch or a smaller model", error, debug)
        except Exception as error:
            hint = "this is a bug in modelstat; please report it with the output of --debug"
            return _report(named(error), hint, error, debug)
        except SystemExit as error:
            call = f"sys.exit({shown(error.code)})"
            return _report(f"the model ended the program: {call}", "take that call out", error, debug)
        except BaseException as error:  # of the model's own: CancelledError, GeneratorExit, a class of its own
            hint = "see the whole traceback with --debug"
            return _report(f"the model raised {named(error)}", hint, error, debug)


def _run(words: list[str]) -> int:
    """The exit code of the command that ``words`` name, or of the completion that a shell asks for."""
    # Not click's own main, which ends a closed pipe, and a completion that it does not know, with 1: that code is for
    # broken limits alone.
    if instruction := os.environ.get(_COMPLETION):
        _complete(instruction)
        return 0
    with modelstat.make_context("modelstat", words or ["--help"]) as context:
        result = modelstat.invoke(context)
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def _complete(instruction: str) -> None:
    """Answer a shell.

    Raises:
        UsageError: it asks for nothing that there is.
    """
    try:
        failed = shell_complete(modelstat, {}, "modelstat", _COMPLETION, instruction)
    except KeyError:  # the words so far, which the script of the shell sets
        failed = 1
    if failed:
        raise UsageError(
            f"{_COMPLETION}={instruction} asks for no completion that there is",
            "unset it, or write bash_source, zsh_source or fish_source",
        )


def _global_options_first(words: list[str]) -> list[str]:
    """``--debug``, ``--quiet`` and ``--no-color`` may stand anywhere before a ``--``."""
    end = words.index("--") if "--" in words else len(words)
    own = [word for word in words[:end] if word in GLOBAL_FLAGS]
    return [*own, *(word for word in words[:end] if word not in GLOBAL_FLAGS), *words[end:]]


def _report(message: str, hint: str | None, error: BaseException, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    complain(message, hint)
    return EXIT_UNDECIDED


def _usage_hint(error: click.UsageError) -> str:
    """Where the options are told; click itself names close matches."""
    command = error.ctx.command_path if error.ctx is not None else "modelstat COMMAND"
    return f"see {command} --help"


if __name__ == "__main__":
    raise SystemExit(main())
