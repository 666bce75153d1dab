"""The body of an error response, in whatever shape servers and gateways write it.

Shapes: an object in `error` or bare, `error` as text, a list, `detail` as text or as a list,
`errors`, `message`, plain text, a page of HTML. Not here: what the error means (`llm.refusals`).
"""

from __future__ import annotations

import html
import re
from typing import Any, NamedTuple, Self, cast

from prefect_llm_reports.tasks.llm.response import Response, as_object

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>|<h1[^>]*>(.*?)</h1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_PAGE = re.compile(r"<(?:!doctype|\?xml|html|head|body|title|center|h\d|div|p|pre|error)\b", re.I)
_UNSEEN = re.compile(r"<(script|style)\b.*?</\1>", re.IGNORECASE | re.DOTALL)
MESSAGES = (
    *("message", "msg", "error_message", "error_msg", "errmsg", "errormessage", "detail"),
    *("details", "description", "error_description", "faultstring", "reason", "title"),
)
"""Fields, in small letters, in which servers say what is wrong."""
_CODES = ("code", "error_code", "errorcode", "status")
_KINDS = ("type", "error_type", "__type")
_COUNTS = ("n_prompt_tokens", "n_ctx", "max_model_len", "max_context_length", "context_length")
"""Fields in which servers give numbers of tokens, beside their message."""
MOST = 4_000
"""Characters of a message that are looked at."""


class ErrorBody(NamedTuple):
    """The fields of an error body; empty where it has none.

    Attributes:
        code: The error's code, as text.
        kind: Its type.
        message: The endpoint's own sentence.
        parameter: The parameter that it names.
        status: The HTTP status that it names; 0: none.
    """

    code: str = ""
    kind: str = ""
    message: str = ""
    parameter: str = ""
    status: int = 0

    @classmethod
    def of(cls, response: Response) -> Self:
        """Read a response's body."""
        if response.json_error:
            return cls(message=_plain(response.text[: 4 * MOST]))
        return cls(*_read(response.json, 0))

    @property
    def name(self) -> str:
        """The code, or the type where there is no code."""
        return self.code or self.kind

    @property
    def words(self) -> str:
        """Everything that it says, for patterns."""
        return " ".join((self.code, self.kind, self.parameter, self.message))


def _read(found: Any, depth: int) -> tuple[str, str, str, str, int]:
    """Code, type, message, parameter and status of a parsed body."""
    if isinstance(found, str):
        return "", "", _plain(found), "", 0
    if isinstance(found, list):
        items = cast("list[Any]", found)
        read = [_read(item, depth + 1) for item in items[:3]] if depth < 4 else []
        return _joined(read)
    fields = {str(name).lower(): value for name, value in as_object(found).items()}
    inner: Any = next((fields[n] for n in ("error", "errors", "fault") if fields.get(n)), None)
    if inner is None and isinstance(fields.get("choices"), list):
        inner = next((as_object(one).get("error") for one in fields["choices"][:1]), None)
    outer = _fields(fields, depth)
    if inner is None or depth >= 4:
        return outer
    read = _read(inner, depth + 1)
    if isinstance(inner, str) and outer[2] and outer[2] != read[2]:
        read = ("", "", f"{read[2]}: {outer[2]}", "", 0)
    return _joined([read, outer])


def _fields(fields: dict[str, Any], depth: int) -> tuple[str, str, str, str, int]:
    codes = [fields[n] for n in _CODES if isinstance(fields.get(n), str | int)]
    names = [str(c) for c in codes if isinstance(c, str) and not c.isdecimal()]
    numbers = [int(c) for c in codes if isinstance(c, int) or (c.isascii() and c.isdecimal())]
    place: Any = fields.get("loc")
    parameter = str(fields.get("param") or "")
    if isinstance(place, list) and place:
        parameter = str(cast("list[Any]", place)[-1])
    kind = next((fields[n] for n in _KINDS if isinstance(fields.get(n), str)), "")
    message, more = "", ("", "", "", "", 0)
    for name in MESSAGES:
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            message = message or _plain(value)
        elif isinstance(value, list | dict) and depth < 4 and not message:
            more = _joined([more, _read(value, depth + 1)])
    raw = as_object(fields.get("metadata")).get("raw")
    if isinstance(raw, str) and raw.strip():
        message = f"{message} {_plain(raw)}".strip()
    counts = [f"{n} = {fields[n]}" for n in _COUNTS if isinstance(fields.get(n), int)]
    if counts:
        message = f"{message} ({', '.join(counts)})".strip()
    status = next((n for n in numbers if 400 <= n < 600), 0)
    own = (
        next(iter([*names, *(str(n) for n in numbers if not 400 <= n < 600)]), ""),
        kind,
        message,
        parameter,
        status,
    )
    return _joined([own, more])


def _joined(read: list[tuple[str, str, str, str, int]]) -> tuple[str, str, str, str, int]:
    """The first of each field that is there."""
    code, kind, message, parameter = (
        next((str(one[at]) for one in read if one[at]), "") for at in range(4)
    )
    return code, kind, message, parameter, next((one[4] for one in read if one[4]), 0)


def _plain(text: str) -> str:
    """A text as it is; of a page its title, or its words where it has none."""
    text = text.strip()
    if not _PAGE.match(text):
        return text[:MOST]
    titles = [_TAG.sub(" ", a or b) for a, b in _TITLE.findall(text)]
    seen = titles or [_TAG.sub(" ", _UNSEEN.sub(" ", text))]
    return html.unescape(" ".join(" ".join(dict.fromkeys(seen)).split()))[:MOST]
