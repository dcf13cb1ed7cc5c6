"""The pages tell the truth: console blocks print what they show, Python blocks run, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert _spec is not None
assert _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

PAGES = [str(page.relative_to(ROOT)) for page in generate.pages()]


@pytest.mark.parametrize("page", PAGES)
def test_console_blocks_print_what_they_show(page: str) -> None:
    assert generate.regenerated(ROOT / page) == (ROOT / page).read_text()


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run(page: str) -> None:
    """The blocks of a page run one after the other in one fresh process, as a reader would type them."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    if not blocks:
        pytest.skip("the page has no Python block")
    script = "\n".join(blocks)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text()):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_a_stale_page_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo new\nold\n```\n")
    assert generate.regenerated(page) == "```console\n$ echo new\nnew\n```\n"


def test_files_of_a_page_lie_beside_its_commands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "<!-- file: a.txt -->\n```text\nhello\n```\n\n<!-- scratch -->\n```console\n$ cat a.txt\nhello\n```\n"
    page.write_text(text)
    assert generate.regenerated(page) == text
