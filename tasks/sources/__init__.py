"""Sources: files, and rows of topics files, as passages that reports may quote.

Here: which files may be read, their text with exact places, the passages it is cut into, and the
passages that a topic gets. Not here: whether a report quotes them rightly (`citations`), the
records (`contract.evidence`).

A run opens one `Library`, which all its topics share:

    library = current_library()                        # None: the run has no sources
    if library and library.covers(topic):
        passages = await library.passages(topic)       # raises NothingToQuote
        more = await library.passages(topic, ["Costs", "Outlook"])  # also for these sections
        source = library.source(topic, passages[0].source)

Ids are a topic's own: its prompt shows `s1` first, whatever other topics have. They stay the same
in all calls for a topic, and `passages(topic, extra)` has those of `passages(topic)` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.sources.library import Library, current_library, use_library

__all__ = ["Library", "current_library", "use_library"]

__getattr__ = lazily(
    __name__,
    {"Library": "library", "current_library": "library", "use_library": "library"},
)
