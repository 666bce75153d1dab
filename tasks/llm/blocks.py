"""Prefect blocks of this project: a saved LLM endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field, HttpUrl, SecretStr, field_validator

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import Price
from prefect_llm_reports.tasks.contract.settings import checked_base_url
from prefect_llm_reports.tasks.llm.endpoint import Endpoint, checked_headers

RECIPES = (
    "Azure: https://RESOURCE.openai.azure.com/openai/v1, or .../openai/deployments/DEPLOYMENT?"
    "api-version=2024-10-21, with the key of the resource; OpenRouter: https://openrouter.ai/api/v1;"
    " Gemini: https://generativelanguage.googleapis.com/v1beta/openai; Groq:"
    " https://api.groq.com/openai/v1; Mistral: https://api.mistral.ai/v1; DeepSeek:"
    " https://api.deepseek.com/v1; vLLM: http://127.0.0.1:8000/v1; Ollama:"
    " http://127.0.0.1:11434/v1; llama.cpp: http://127.0.0.1:8080/v1; LM Studio:"
    " http://127.0.0.1:1234/v1; LiteLLM: http://127.0.0.1:4000/v1."
)
"""Addresses of known endpoints; `deployments/endpoints.md` has more about each."""


class LLMEndpoint(Block):
    """An OpenAI-compatible endpoint with its key, saved once and picked by name.

    Example:
        Load a saved endpoint:

        ```python
        from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint

        endpoint = LLMEndpoint.load("BLOCK_NAME")
        ```
    """

    _block_type_name: ClassVar[str | None] = "LLM endpoint"
    _block_type_slug: ClassVar[str | None] = "llm-endpoint"
    _logo_url: ClassVar[HttpUrl | None] = HttpUrl(
        "https://raw.githubusercontent.com/PrefectHQ/prefect"
        "/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/webhook.png"
    )
    """The picture of Prefect's own Webhook block: also an HTTP address."""
    _documentation_url: ClassVar[HttpUrl | None] = HttpUrl(
        "https://platform.openai.com/docs/api-reference/chat"
    )
    """The interface that such an endpoint speaks."""
    _description: ClassVar[str | None] = (
        "An OpenAI-compatible endpoint for report and branch flows: address, key, default model,"
        " limits and prices."
    )

    base_url: str = Field(
        default="https://api.openai.com/v1",
        title="Base URL",
        description="Address without /chat/completions; https, or http on this machine. " + RECIPES,
    )
    api_key: SecretStr | None = Field(
        default=None, title="API key", description="Kept encrypted. Empty: the server needs none."
    )
    extra_headers: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        title="Extra headers",
        description="Further headers of each request, as an object of names and values; kept"
        ' encrypted. A gateway may want some: {"HTTP-Referer": "https://reports.example.com"}.',
    )
    model: str | None = Field(
        default=None, description="Model used when a run names none. Empty: the project's default."
    )
    allow_http: bool = Field(
        default=False,
        title="Allow http",
        description="Allow http to another machine; key and topics then travel unencrypted.",
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="The account's limit. Empty: none."
    )
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="The account's limit, input and output. Empty: none."
    )
    prices: dict[str, Price] = Field(
        default={},
        description="Prices by model name, USD for a million tokens; needed for budgets where the"
        " price list does not know the model.",
    )

    @field_validator("base_url")
    @classmethod
    def _no_credentials(cls, url: str) -> str:
        return checked_base_url(url, allow_http=True)

    @field_validator("extra_headers", mode="before")
    @classmethod
    def _no_headers(cls, headers: object) -> object:
        return {} if headers in (None, "") else headers

    def endpoint(self) -> Endpoint:
        """The endpoint as a session takes it.

        Raises:
            BadInput: The address is http to another machine, which is not permitted, or a header
                cannot be sent.
        """
        key = self.api_key.get_secret_value().strip() if self.api_key else ""
        headers = self.extra_headers.get_secret_value()
        return Endpoint(
            base_url=checked_base_url(self.base_url, allow_http=self.allow_http),
            api_key=self.api_key or SecretStr("none"),
            headers=checked_headers(headers, key_given=key not in ("", "none")),
            prices=self.prices,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
        )


async def saved_endpoints(names: Iterable[str]) -> dict[str, LLMEndpoint]:
    """Load saved endpoints.

    Args:
        names: Their names.

    Returns:
        The blocks, by name.

    Raises:
        BadInput: Some are not saved; the message lists each name.
    """
    found: dict[str, LLMEndpoint] = {}
    missing: list[str] = []
    for name in sorted(names):
        try:
            found[name] = await LLMEndpoint.aload(name)
        except ValueError:
            missing.append(
                f"endpoint {name!r}: no LLM endpoint block of this name is saved; save it in the UI"
                " under Blocks or with deployments/save_blocks.py"
            )
    if missing:
        raise BadInput(*missing)
    return found
