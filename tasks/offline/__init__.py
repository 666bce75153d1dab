"""The embedded engine, which stands in for an endpoint with `--model offline`.

Here: a rule-based writer, critic, reviser and summarizer that answers requests in process. Not
here: the client that asks it (`llm`); it is the same as for any endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.offline.engine import OfflineTransport

__all__ = ["OfflineTransport"]

__getattr__ = lazily(__name__, {"OfflineTransport": "engine"})
