"""Module names as names of files: every name gets one file of its own, and none leads to another folder."""

from __future__ import annotations

import hashlib
import os
import re

_LONGEST = 255  # bytes in a file's name, on nearly every file system
_UNSAFE = re.compile("[%/\\\\\0\ud800-\udfff" + (':<>"|?*\x01-\x1f' if os.name == "nt" else "") + "]")


def file_name(name: str, ending: str) -> str:
    """The name of the file for module ``name``, itself where it can be; ``urllib.parse.unquote`` leads back.

    What cannot stand in a file's name, and the percent sign, is written as in a URL. A name that is too long is cut and
    gets a checksum of the whole after ``%~``, which no other name can hold.
    """
    stem = _UNSAFE.sub(lambda match: _quoted(match[0]), name)
    if name in (".", ".."):
        stem = "%2E" * len(name)
    if len(stem.encode() + ending.encode()) <= _LONGEST:
        return stem + ending
    tail = f"%~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}{ending}"
    return stem.encode()[: _LONGEST - len(tail)].decode("utf-8", "ignore") + tail


def _quoted(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
