"""Office files, which are zip archives: what they must be before a library opens them.

Not here: their content (`word_file`, `workbook_file`).
"""

from __future__ import annotations

import io
import zipfile

from prefect_llm_reports.tasks.sources.pieces import Unreadable

UNPACKED_MB = 300
"""Size that an office file may have unpacked."""
_OLD = b"\xd0\xcf\x11\xe0"


def opened(raw: bytes, part: str, kind: str) -> zipfile.ZipFile:
    """Open an office file as an archive.

    Args:
        raw: The file.
        part: A part that files of this kind have: `word/`.
        kind: What the file should be, for messages: `Word document`.

    Raises:
        Unreadable: It is encrypted, of an old kind, damaged, or too large unpacked.
    """
    if raw.startswith(_OLD):
        if "EncryptedPackage".encode("utf-16-le") in raw:
            raise Unreadable("encrypted; save it without a password")
        raise Unreadable(f"of an old kind; save it as a {kind} of today")
    try:
        found = zipfile.ZipFile(io.BytesIO(raw))
        size = sum(one.file_size for one in found.infolist())
        locked = any(one.flag_bits & 1 for one in found.infolist())
        named = any(one.filename.startswith(part) for one in found.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise Unreadable(f"damaged, not a {kind}; save it again") from None
    if locked:
        raise Unreadable("encrypted; save it without a password")
    if not named:
        raise Unreadable(f"not a {kind} by its content; save it again")
    if size > UNPACKED_MB * 1_000_000:
        raise Unreadable(
            f"{size:,} bytes unpacked, a file may have {UNPACKED_MB} MB; divide it into several"
        )
    return found
