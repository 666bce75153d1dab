"""PDF files, page by page, which pypdf reads.

Here: pages with their labels, and files that cannot be read. Not here: which text a reader sees
(`pdf_sight`).
"""

from __future__ import annotations

import io
import re
from typing import Any

from prefect_llm_reports.tasks.sources.pdf_sight import PageSight, layers_off
from prefect_llm_reports.tasks.sources.pieces import Piece, Reading, Unreadable
from prefect_llm_reports.tasks.sources.unseen import Unseen

_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_SCAN = 0.5
"""Part of a page that a picture covers from which the page is taken for a scan."""


def read_pdf(raw: bytes) -> Reading:
    """The text of each page, with its label.

    Args:
        raw: The file.

    Raises:
        Unreadable: It is not a PDF, or encrypted, or damaged, or holds no text.
    """
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError:
        raise Unreadable(
            "needs pypdf, which is not installed; pip install 'prefect-llm-reports[sources]'"
        ) from None
    if b"%PDF-" not in raw[:1024]:
        raise Unreadable("not a PDF by its content; save it as PDF again")
    try:
        opened: Any = PdfReader(io.BytesIO(raw))
        if opened.is_encrypted and not opened.decrypt(""):
            raise Unreadable("encrypted; save it without a password")
        return _pages(opened)
    except DependencyError:
        raise Unreadable("encrypted; save it without a password") from None
    except (Unreadable, MemoryError):
        raise
    except PyPdfError as error:
        raise Unreadable(f"damaged ({error}); save it as PDF again") from None
    except Exception as error:  # pypdf raises of many kinds for damaged files
        raise Unreadable(f"damaged ({type(error).__name__}); save it as PDF again") from None


def _pages(opened: Any) -> Reading:
    unseen = Unseen()
    found = Reading()
    labels, off = _labels(opened), layers_off(opened)
    scans: list[str] = []
    broken: list[str] = []
    for number, page in enumerate(opened.pages):
        label = labels[number] if number < len(labels) else ""
        sight = PageSight(page, off, Unseen())
        try:
            text = _text(page, sight)
            if not text.strip() and sight.without_ink and sight.pictured >= _SCAN:
                sight = PageSight(page, off, Unseen(), scanned=True)
                text = _text(page, sight)
                scans.append(label)
        except MemoryError:
            raise
        except Exception:  # pypdf raises of many kinds for a damaged page
            broken.append(label)
            continue
        unseen.add(sight.unseen)
        place = f"page {label}" if label else ""
        for part in _BLANK_LINES.split(unseen.clean(text)):
            if part.strip():
                found.pieces.append(Piece(part.strip(), place))
    if not found.pieces:
        if broken:
            raise Unreadable("damaged: no page can be read; save it as PDF again")
        raise Unreadable("no text layer; run OCR first")
    found.skipped = unseen.said()
    if scans:
        found.skipped.append(
            f"{_named(scans)} only a picture: the text is that of the OCR layer, which may differ"
        )
    if broken:
        found.skipped.append(f"{_named(broken)} damaged and left out")
    return found


def _text(page: Any, sight: PageSight) -> str:
    return page.extract_text(visitor_operand_before=sight.before, visitor_operand_after=sight.after)


def _labels(opened: Any) -> list[str]:
    """The pages' labels; numbers from 1 where the file names none; empty: they are not readable."""
    try:
        return [str(label) for label in opened.page_labels]
    except Exception:  # damaged labels leave the pages readable
        return []


def _named(labels: list[str]) -> str:
    shown = ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
    return f"page {shown} is" if len(labels) == 1 else f"pages {shown} are"
