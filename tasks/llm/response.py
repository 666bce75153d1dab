"""An HTTP response as it arrived, and its body as JSON, parsed once.

An envelope is read with patience: a stream of events is joined into the completion it spells, a
completion inside another object is taken out, and of a key that stands twice the last one counts.
Not here: what the response means (`llm.replies`,
`llm.refusals`, `llm.hints`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from prefect_llm_reports.tasks.llm.streams import completion_of, is_lines, is_stream
from prefect_llm_reports.tasks.text.foreign import shown

_AROUND = ("data", "result", "response", "output", "body", "completion")
"""Fields in which gateways hold a whole completion."""


@dataclass(frozen=True)
class Response:
    """An HTTP response, its body decoded and capped."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status says that the request succeeded; some gateways have their own."""
        return 200 <= self.status < 300

    @property
    def request_id(self) -> str | None:
        """The endpoint's id of the request, as far as it can be shown."""
        said = self.headers.get("x-request-id") or self.headers.get("request-id")
        return shown(said, 100) or None if said else None

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is not."""
        return self._parsed[0]

    @property
    def json_error(self) -> str:
        """Why the body is not JSON; empty when it is."""
        return self._parsed[1]

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is not."""
        return as_object(self.json)

    @cached_property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode("utf-8-sig", "replace")

    @cached_property
    def _parsed(self) -> tuple[Any, str]:
        try:
            text = self.body.decode("utf-8-sig")
            if is_stream(text) or is_lines(text):
                return completion_of(text), ""
            return _unwrapped(json.loads(text, parse_constant=lambda _: None)), ""
        except RecursionError:
            return None, "nested too deeply"
        except ValueError as error:
            return None, str(error)


def as_object(value: Any) -> dict[str, Any]:
    """A parsed value as a JSON object; empty when it is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _unwrapped(found: Any) -> Any:
    """The completion that another object holds, or what was found."""
    fields = as_object(found)
    for name in _AROUND if fields and "choices" not in fields else ():
        inner: Any = fields.get(name)
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            try:
                inner = json.loads(inner)
            except ValueError:
                continue
        if as_object(inner).get("choices"):
            return inner
    return found
