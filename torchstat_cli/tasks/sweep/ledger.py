"""What a sweep has measured so far, in a file beside its output: one line a row, so that a killed run goes on there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torchstat_cli.errors import InputError, OutputError
from torchstat_cli.foreign_text import shown
from torchstat_cli.records import SweepRow

_KIND = "modelstat sweep"


class Ledger:
    """The rows that are done.

    Args:
        output: the file that the sweep ends in; the ledger is ``OUTPUT.partial``.
        settings: how the models are measured; a ledger of other settings is refused.

    Raises:
        InputError: the ledger is of another sweep, or is none.
    """

    def __init__(self, output: str, settings: Mapping[str, Any]) -> None:
        self.path = Path(f"{output}.partial")
        self._settings = settings
        self.rows = self._read()

    def _read(self) -> dict[Any, SweepRow]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._refusal(f"cannot be read: {error}") from error
        # The last line may have been cut by what ended the run; it is measured again.
        head, *lines = text.split("\n")[:-1] or [""]
        try:
            header = json.loads(head)
            if header.get("kind") != _KIND:
                raise ValueError(header)
        except (ValueError, AttributeError) as error:
            raise self._refusal("is no unfinished sweep") from error
        for name, value in self._settings.items():
            if header.get("settings", {}).get(name) != value:
                raise self._refusal(f"is of a sweep with another {name}")
        rows = [SweepRow(**json.loads(line)) for line in lines]
        self.path.write_text("".join(f"{line}\n" for line in (head, *lines)), encoding="utf-8")
        return {row.key: row for row in rows}

    def _refusal(self, what: str) -> InputError:
        return InputError(
            f"{shown(str(self.path))} {what}", "finish that sweep, delete the file, or choose another --output"
        )

    def add(self, row: SweepRow) -> None:
        """Note a row that is done.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            is_new = not self.path.exists()
            with self.path.open("a", encoding="utf-8") as file:
                if is_new:
                    file.write(json.dumps({"kind": _KIND, "settings": dict(self._settings)}) + "\n")
                file.write(json.dumps(asdict(row)) + "\n")
        except OSError as error:
            raise OutputError(
                f"cannot write {shown(str(self.path))}: {error.strerror}", "free some space, or choose another --output"
            ) from error

    def close(self) -> None:
        """The output is written: the ledger goes."""
        self.path.unlink(missing_ok=True)
