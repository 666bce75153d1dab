"""An endpoint: where questions go, with which key and prices."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import Price
from prefect_llm_reports.tasks.llm.transport import host_of


@dataclass(frozen=True)
class Endpoint:
    """Where to ask and with which key.

    Attributes:
        base_url: The address; requests go to its `/chat/completions`.
        api_key: Sent as a bearer token, without blanks around it.
        model: Model to ask for here instead of the question's; None: the question's.
        prices: Prices by model name at this endpoint.
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit; None: none.

    Raises:
        BadInput: The key cannot be sent; the message does not quote it.
    """

    base_url: str
    api_key: SecretStr = field(default=SecretStr("none"), repr=False)
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
