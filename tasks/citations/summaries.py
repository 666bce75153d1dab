"""An executive summary checked against its report: its numbers stand there, and in a source.

Here: which numbers do not, and the remark about them in the published summary. Not here: the claims
of the report itself (`checking`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from prefect_llm_reports.tasks.citations.numbers import (
    Figure,
    figures_in,
    known_numbers,
    stands_in,
)
from prefect_llm_reports.tasks.contract.evidence import Claim
from prefect_llm_reports.tasks.text.plain_text import plain_paragraphs

_DIGIT = re.compile(r"\d")


def remarks_on(
    summary: str, report: str, claims: Iterable[Claim], asked: str = ""
) -> tuple[str, ...]:
    """What readers of a summary should know of its numbers.

    Numbers in words are left out: a summary may count the reasons that it sums up.

    Args:
        summary: The summary, as a model wrote it.
        report: The report, with its notes.
        claims: The claims of the report, checked.
        asked: Title and guidance of the topic; a summary may use their numbers.

    Returns:
        A remark on the numbers that are not in the report, and one on those that are in no source.
    """
    said = "\n\n".join(plain_paragraphs(summary))
    figures = [figure for figure in figures_in(said) if _DIGIT.search(figure.text)]
    absent = _left(figures, (report, asked))
    doubted = [number.text for claim in claims for number in claim.numbers if number.nowhere]
    unproven = [one for one in figures if one not in absent and one not in _left([one], doubted)]
    return tuple(
        f"{what}: {', '.join(dict.fromkeys(figure.text for figure in found))}"
        for what, found in (("not in the report", absent), ("in no source", unproven))
        if found
    )


def _left(figures: Sequence[Figure], texts: Sequence[str]) -> list[Figure]:
    """The numbers that stand in none of the texts."""
    left = [figure for figure in figures if not any(stands_in(figure, text) for text in texts)]
    known = known_numbers(texts) if left else None
    return [figure for figure in left if not (known and known.holds(figure))]


def remarked(summary: str, remarks: Sequence[str]) -> str:
    """A summary with a last paragraph that says what its readers should know of its numbers.

    Args:
        summary: The summary.
        remarks: The remarks; none: the summary stays as it is.
    """
    if not remarks:
        return summary
    said = "; ".join(remarks)
    return "\n\n".join([*plain_paragraphs(summary), f"({said[0].upper()}{said[1:]}.)"])
