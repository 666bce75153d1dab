"""The request of a run as it is kept beside its results, so that it can be run again.

Not here: requests as they come in, unchecked (`requests`).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from prefect_llm_reports.tasks.contract.records import SCHEMA_VERSION, Record
from prefect_llm_reports.tasks.contract.reports import Topic

REQUEST = "request.json"
"""The file of a run that holds its request."""


class KeptRequest(Record):
    """What a batch of reports was asked for: request.json."""

    schema_version: int = SCHEMA_VERSION
    topics: tuple[Topic, ...] = Field(description="In input order, each once.")
    options: dict[str, Any] = Field(
        description="Endpoint, model, rounds and threshold, and the options that are not at their"
        " defaults, as in manifest.json."
    )
    saved_endpoint: str | None = Field(
        default=None, description="Name of the saved endpoint; null: the environment's."
    )


class KeptBranches(Record):
    """What a batch of branches was asked for: request.json."""

    schema_version: int = SCHEMA_VERSION
    queries: tuple[Any, ...] = Field(description="The inputs in order, each once.")
    branches: tuple[dict[str, Any], ...] = Field(
        description="The branches as in a branches file, without what is at its default."
    )
    merge: str
    options: dict[str, Any] = Field(
        description="Endpoint and model, and the options that are not at their defaults."
    )
    saved_endpoint: str | None = Field(
        default=None, description="Name of the saved endpoint; null: the environment's."
    )
