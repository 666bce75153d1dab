"""A whole request, as flows and the command line pass it on to be checked.

Here: one object for each kind of request, unchecked. Not here: the checks and the checked requests
(`reports.checking`, `branches.checking`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.choices import (
    DEFAULT_MERGE,
    DEFAULT_ROUNDS,
    DEFAULT_THRESHOLD,
    REPORTS_FOLDER,
)
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.reports import Topic


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """A request for a batch of reports.

    Attributes:
        topics: Topics given directly.
        topics_file: Name of a file with topics, added to those.
        max_iterations: Critique rounds.
        quality_threshold: Score to accept at.
        model: Model of all steps that no option overrides; "offline" for the embedded engine. None
            or empty: the saved endpoint's own default, else the project's.
        output: Where result directories go.
        endpoint: Name of the saved endpoint to use; None or empty: the environment's.
        options: Everything else; None: the defaults.
    """

    topics: Sequence[str | Mapping[str, Any] | Topic] | None = None
    topics_file: str | None = None
    max_iterations: int = DEFAULT_ROUNDS
    quality_threshold: float = DEFAULT_THRESHOLD
    model: str | None = None
    output: str = REPORTS_FOLDER
    endpoint: str | None = None
    options: ReportOptions | Mapping[str, Any] | None = None

    @property
    def saved_endpoints(self) -> set[str]:
        """Names of the saved endpoints that the request needs."""
        return {name for name in (self.endpoint, *_of_fallbacks(self.options)) if name}

    def parameters(self) -> dict[str, Any]:
        """The request as parameters of the flow `report_batch`."""
        return _parameters(self)

    def without_saved_endpoints(self) -> BatchRequest:
        """The same request with the embedded engine in place of saved endpoints.

        Only a Prefect server can look those up; everything else can be checked before.
        """
        if not self.saved_endpoints:
            return self
        return replace(self, endpoint=None, model=OFFLINE, options=_alone(self.options))


@dataclass(frozen=True, kw_only=True)
class BranchesRequest:
    """A request for branches over one input or many.

    Attributes:
        queries: Inputs given directly.
        queries_file: Name of a file with inputs, added to those.
        branches: The branches; None: two of `AnswerWithThinking`. An invalid branch stays as it was
            written, so that the check can name its problems.
        merge: How outputs are merged.
        model: Model of the branches that name none; "offline" for the embedded engine. None or
            empty: the saved endpoint's own default, else the project's.
        output: Where result directories go; None: nowhere, for one input.
        endpoint: Name of the saved endpoint to use; None or empty: the environment's.
        options: Everything else; None: the defaults.
    """

    queries: Sequence[Any] | None = None
    queries_file: str | None = None
    branches: Sequence[Branch | Mapping[str, Any]] | None = None
    merge: str = DEFAULT_MERGE
    model: str | None = None
    output: str | None = None
    endpoint: str | None = None
    options: BranchOptions | Mapping[str, Any] | None = None

    @property
    def saved_endpoints(self) -> set[str]:
        """Names of the saved endpoints that the request needs."""
        named = [branch.endpoint for branch in self.branches or () if isinstance(branch, Branch)]
        return {name for name in (self.endpoint, *named, *_of_fallbacks(self.options)) if name}

    def parameters(self) -> dict[str, Any]:
        """The request as parameters of the flow `branch_batch`, or of `parallel_branches`."""
        found = _parameters(self)
        if self.output is None:
            del found["output"], found["queries_file"]
            (found["query"],) = found.pop("queries")
        return found

    def without_saved_endpoints(self) -> BranchesRequest:
        """The same request with the embedded engine in place of saved endpoints.

        Only a Prefect server can look those up; everything else can be checked before.
        """
        if not self.saved_endpoints:
            return self
        branches = self.branches and [
            branch.model_copy(update={"endpoint": None}) if isinstance(branch, Branch) else branch
            for branch in self.branches
        ]
        return replace(
            self, endpoint=None, model=OFFLINE, branches=branches, options=_alone(self.options)
        )


def _parameters(request: BatchRequest | BranchesRequest) -> dict[str, Any]:
    return {field.name: getattr(request, field.name) for field in fields(request)}


def _of_fallbacks(options: CallOptions | Mapping[str, Any] | None) -> list[str | None]:
    """Endpoints that fallbacks name; the options may still be invalid."""
    if isinstance(options, CallOptions):
        return [fallback.endpoint for fallback in options.fallbacks]
    given: Any = (options or {}).get("fallbacks")
    if not isinstance(given, list | tuple):
        return []
    found: list[str | None] = []
    for one in cast("list[Any]", given):
        name: Any = cast("dict[str, Any]", one).get("endpoint") if isinstance(one, dict) else None
        found += [name] if isinstance(name, str) else []
    return found


def _alone(options: Any) -> Any:
    """The options without fallbacks."""
    if isinstance(options, CallOptions):
        return options.model_copy(update={"fallbacks": ()})
    given = cast("Mapping[str, Any]", options or {})
    return {name: value for name, value in given.items() if name != "fallbacks"}
