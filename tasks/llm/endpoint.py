"""An endpoint: where questions go, with which key and prices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import Price
from prefect_llm_reports.tasks.llm.transport import host_of

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {
        *("host", "content-length", "content-type", "transfer-encoding", "accept-encoding"),
        *("connection", "keep-alive", "te", "trailer", "upgrade", "expect"),
    }
)
"""Headers that the connection sets itself."""
_SECRET = re.compile(r"key|token|auth|secret|passw|cookie|signature|credential", re.I)
_OPAQUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w.~+/=-]{20,}")


def checked_headers(headers: Mapping[str, object], *, key_given: bool) -> dict[str, SecretStr]:
    """Headers as they can be sent.

    Args:
        headers: Values by name.
        key_given: The endpoint has a key, which is sent as authorization.

    Raises:
        BadInput: With each header that cannot be sent; no message quotes a value.
    """
    problems: list[str] = []
    found: dict[str, SecretStr] = {}
    for name, given in headers.items():
        value = str(given).strip() if isinstance(given, str | int | float) else ""
        problem = ""
        if not _NAME.fullmatch(name):
            problem = "this is no name of a header; use letters, digits and -"
        elif name.lower() in _OURS:
            problem = "this header is set by the connection; leave it out"
        elif name.lower() == "authorization" and key_given:
            problem = "the API key is sent as authorization; give one of the two"
        elif name.lower() in {known.lower() for known in found}:
            problem = "given twice in different capitals; keep one of them"
        elif not (value and value.isascii() and value.isprintable()):
            problem = "its value must be a text on one line, in ASCII; copy it again"
        if problem:
            problems.append(f"extra header {name!r}: {problem}")
        found[name] = SecretStr(value)
    if problems:
        raise BadInput(*problems)
    return found


@dataclass(frozen=True)
class Endpoint:
    """The address of an endpoint, its key, and its prices and limits.

    Attributes:
        base_url: The address; requests go to its `/chat/completions`.
        api_key: Sent as a bearer token, without blanks around it.
        headers: Further headers of each request, by name.
        model: Model to ask for here instead of the question's; None: the question's.
        prices: Prices by model name at this endpoint.
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit; None: none.

    Raises:
        BadInput: The key cannot be sent; the message does not quote it.
    """

    base_url: str
    api_key: SecretStr = field(default=SecretStr("none"), repr=False)
    headers: Mapping[str, SecretStr] = field(default_factory=dict[str, SecretStr], repr=False)
    model: str | None = None
    prices: dict[str, Price] = field(default_factory=dict[str, Price])
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    def __post_init__(self) -> None:
        key = self.api_key.get_secret_value().strip()
        if not (key.isascii() and key.isprintable()):
            raise BadInput(
                f"API key for {host_of(self.base_url)}: holds characters that cannot be sent;"
                " copy it again, on one line"
            )
        object.__setattr__(self, "api_key", SecretStr(key or "none"))

    def model_for(self, ask: Ask) -> str:
        """The model that is asked for here: the endpoint's own, or the question's."""
        return self.model or ask.model

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that are masked in everything kept: the key, and headers that hold secrets."""
        found = [self.api_key.get_secret_value()]
        for name, held in self.headers.items():
            value = held.get_secret_value()
            if _SECRET.search(name) or _OPAQUE.fullmatch(value):
                found += [value, value.rpartition(" ")[2]]
        return tuple(dict.fromkeys(found))
