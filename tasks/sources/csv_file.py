"""Tables as CSV or with tabs.

Not here: topics files in CSV (`inputs.tables`), which are read row by row for their topics.
"""

from __future__ import annotations

import csv
import io
from collections import Counter

from prefect_llm_reports.tasks.sources.pieces import Reading, Unreadable
from prefect_llm_reports.tasks.sources.rows import row_pieces
from prefect_llm_reports.tasks.sources.text_file import decoded
from prefect_llm_reports.tasks.sources.unseen import Unseen

_DELIMITERS = ",;\t|"
_LOOKED_AT = 50


def read_csv(raw: bytes) -> Reading:
    """The rows of a table, counted as a spreadsheet does: the first is row 1.

    Args:
        raw: The file.

    Raises:
        Unreadable: It is not a text, or a quote is never closed.
    """
    unseen = Unseen()
    text = unseen.clean(decoded(raw))
    delimiter = None
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.rstrip()) == 5:  # a line of Excel's own
        delimiter, text = first[4], rest
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text), strict=True
    )
    try:
        pieces = list(row_pieces(enumerate(rows, 1), ""))
    except csv.Error as error:
        raise Unreadable(f"line {rows.line_num}: not readable as CSV ({error})") from None
    return Reading(pieces, unseen.said())


def _delimiter(text: str) -> str:
    """The delimiter that the first lines have most alike."""
    lines = [line for line in text[:100_000].splitlines()[:_LOOKED_AT] if line.strip()]

    def alike(delimiter: str) -> tuple[int, int]:
        counts = Counter(line.count(delimiter) for line in lines)
        counts.pop(0, None)
        return max(((n, count) for count, n in counts.items()), default=(0, 0))

    return max(_DELIMITERS, key=alike) if lines else ","
