"""Places that hold files, a folder or a bucket, behind one interface.

Here: whole writes, publication of a directory, listing, write probes. Not here: what the files
mean (`results`), paid answers (`answers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.storage.media_types import media_type
    from prefect_llm_reports.tasks.storage.places import LocalPlace, Place, open_place

__all__ = ["LocalPlace", "Place", "media_type", "open_place"]

__getattr__ = lazily(
    __name__,
    {
        "LocalPlace": "places",
        "Place": "places",
        "media_type": "media_types",
        "open_place": "places",
    },
)
