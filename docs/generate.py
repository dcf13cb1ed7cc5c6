"""Run the console blocks of README and docs and write what they print; with --check, fail where a page differs.

A block is fenced as ``console``. Its lines that start with ``$ `` are commands, run in the order of the page in the
repository's root; everything else in it is their output. Each page may name its own folder of files for the commands
with a comment ``<!-- scratch -->`` before the block: such a block runs in an empty folder that the page's later scratch
blocks share. A block of any kind after ``<!-- file: NAME -->`` is written to that folder under its name.

The command ``modelstat`` is the one of this checkout, installed or not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?P<open>(?:(?P<mark><!-- scratch -->)\n)?```console\n|<!-- file: (?P<file>\S+) -->\n```\w*\n)"
    r"(?P<body>.*?)(?P<close>```\n)",
    re.DOTALL,
)
PRELUDE = 'modelstat() { python -m torchstat_cli "$@"; }; export -f modelstat\n'
SECONDS = 300  # for one command


def pages() -> list[Path]:
    """Every page whose blocks are generated."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def regenerated(page: Path) -> str:
    """The text of ``page`` with the output of every block as it is now."""
    with tempfile.TemporaryDirectory() as scratch:
        return BLOCK.sub(lambda block: _regenerated_block(block, Path(scratch)), page.read_text())


def _regenerated_block(block: re.Match[str], scratch: Path) -> str:
    if block["file"]:
        (scratch / block["file"]).write_text(block["body"])
        return block[0]
    folder = scratch if block["mark"] else ROOT
    commands = [line[2:] for line in block["body"].splitlines() if line.startswith("$ ")]
    parts = [f"$ {command}\n{output_of(command, folder)}" for command in commands]
    return f"{block['open']}{''.join(parts)}{block['close']}"


def output_of(command: str, folder: Path) -> str:
    """What a command prints on both streams, without trailing blanks."""
    tools = str(Path(sys.executable).parent)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("CI", "GITHUB_ACTIONS", "COLUMNS")},
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }
    result = subprocess.run(
        ["bash", "-c", PRELUDE + command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = [line.rstrip() for line in result.stdout.strip("\n").splitlines()]
    return "".join(f"{line}\n" for line in lines)


def main() -> int:
    """Rewrite the pages, or only compare them."""
    check = "--check" in sys.argv[1:]
    stale = []
    for page in pages():
        text = regenerated(page)
        if text != page.read_text():
            stale.append(page)
            if not check:
                page.write_text(text)
    for page in stale:
        print(f"{'differs from what its commands print' if check else 'rewritten'}: {page.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
