"""Text files, and the encodings of all files that are texts.

Not here: Markdown (`markdown_file`), HTML (`html_file`), CSV (`csv_file`).
"""

from __future__ import annotations

import codecs
import re

from prefect_llm_reports.tasks.sources.pieces import Piece, Reading, Unreadable
from prefect_llm_reports.tasks.sources.unseen import Unseen

_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_HEAD = 4096
"""Bytes at the beginning that show the encoding."""


def decoded(raw: bytes, declared: str | None = None) -> str:
    """A text file as a text with plain line ends.

    Args:
        raw: The file.
        declared: The encoding that the file names itself; None: it names none.

    Raises:
        Unreadable: It is in no encoding that we know.
    """
    encoding = _marked(raw) or declared or "utf-8"
    try:
        text = raw.decode(encoding)
    except LookupError:
        raise Unreadable(
            f"names the unknown encoding {encoding[:40]!r}; save it as UTF-8"
        ) from None
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        raise Unreadable(
            f"byte {at + 1:,} (0x{raw[at : at + 1].hex()}) is not {encoding.upper()}; save the file"
            " as UTF-8"
        ) from None
    if text.count("\0") > len(text) // 100:
        raise Unreadable("holds bytes that are no text; give it the ending of its kind")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _marked(raw: bytes) -> str | None:
    """The encoding by the byte order mark, or by where zero bytes stand; None: no sign of one."""
    if raw.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if raw.startswith(codecs.BOM_UTF8):
        return "utf-8"
    head = raw[: _HEAD - _HEAD % 2]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(raw) % 2 == 0 and max(even, odd) > len(head) // 4 and not (even and odd):
        return "utf-16-le" if odd else "utf-16-be"
    return None


def read_text(raw: bytes) -> Reading:
    """The paragraphs of a text file; their places are not known.

    Args:
        raw: The file.

    Raises:
        Unreadable: It is not a text.
    """
    unseen = Unseen()
    found = Reading()
    for part in _BLANK_LINES.split(decoded(raw)):
        if text := unseen.clean(part).strip():
            found.pieces.append(Piece(text))
    found.skipped = unseen.said()
    return found
