"""Bytes of text files as text, in UTF-8, UTF-16 or UTF-32.

Here: the encoding, found by the byte order mark or by zero bytes. Not here: the size of files, and
their entries (`files`).
"""

from __future__ import annotations

import codecs
import re

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.workbooks import OLD, ZIP

LINE_END = re.compile(r"\r\n|\r|\n")
_HEAD = 4096
"""Bytes at the beginning that show the encoding."""


def decoded(name: str, raw: bytes) -> str:
    """Decode a text file.

    Args:
        name: The file's name, for messages.
        raw: The file as stored.

    Raises:
        BadInput: It is a workbook, or not in its encoding; with the line.
    """
    if raw.startswith((ZIP, OLD)):
        raise BadInput(f"{name}: an Excel or zip file by its content; rename it to .xlsx")
    encoding = _encoding(raw)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(LINE_END.findall(error.object[: error.start].decode(encoding, "replace"))) + 1
        at = len(raw) - len(error.object) + error.start
        kind = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()[:6]
        said = f"byte {at + 1} of the file (0x{raw[at]:02x}) is not {kind}"
        way = "save the file as UTF-8 (in Excel: CSV UTF-8)"
        raise BadInput(f"{name} line {line}: {said}; {way}") from error


def _encoding(raw: bytes) -> str:
    """The encoding by the byte order mark; without one, by where zero bytes stand."""
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = raw[: _HEAD - _HEAD % 2]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(raw) % 2 == 0 and not (even and odd) and head[:2].count(0) == 1:
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8-sig"
