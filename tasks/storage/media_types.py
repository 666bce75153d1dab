"""The media type of a file by the ending of its name, for S3 and for browsers."""

from __future__ import annotations

_TYPES = {
    ".md": "text/markdown; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".xml": "application/atom+xml",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_BY_NAME = {"SHA256SUMS": "text/plain; charset=utf-8"}


def media_type(name: str) -> str:
    """The Content-Type of a file; `application/octet-stream` for unknown endings.

    Args:
        name: The file's name, with or without folders.
    """
    last = name.rpartition("/")[2]
    ending = f".{last.rpartition('.')[2]}" if "." in last else ""
    return _BY_NAME.get(last) or _TYPES.get(ending.lower(), "application/octet-stream")
