"""Settings from the environment: credentials, the address of the endpoint, the store of answers.

Here: settings of this process. Not here: what a person chooses for one batch (`options`).
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.locations import absolute
from prefect_llm_reports.tasks.contract.options import checked_pages_url
from prefect_llm_reports.tasks.contract.records import Price

_SECRET_NAME = re.compile(
    r"^(?:sig|code|pass|pwd|sas|jwt)$|key|token|secret|passw|passphrase|signature|credential|auth",
    re.I,
)
"""Names of query parameters that carry secrets."""
_SECRET_VALUE = re.compile(r"^(?:sk|pk|rk|gsk|xai|hf|AIza|ghp|eyJ)[-_\w]{16,}$")
"""Values that are keys, in a query parameter of any name."""


class Settings(BaseSettings):
    """Settings of this process, read from the environment.

    Each is called `LLM_REPORTS_` and the field's name in capitals. Two have the names that every
    OpenAI-compatible client uses: `OPENAI_API_KEY` and `OPENAI_BASE_URL`.
    """

    model_config = SettingsConfigDict(
        env_prefix="LLM_REPORTS_", populate_by_name=True, env_ignore_empty=True
    )

    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key")
    )
    openai_base_url: str | None = Field(
        default=None, validation_alias=AliasChoices("OPENAI_BASE_URL", "openai_base_url")
    )
    store: str = Field(
        default="~/.local/share/llm-reports/answers",
        description="The store of paid answers: a folder or s3://bucket/prefix.",
    )
    allow_http: bool = Field(
        default=False,
        description="Allow http:// to endpoints on other machines; keys then travel unencrypted.",
    )
    prices: dict[str, Price] = Field(
        default={},
        description='Prices by model as JSON: {"name": {"input": 0.5, "output": 1.5}}, USD for a'
        " million tokens.",
    )
    pages_url: str | None = Field(
        default=None,
        description="Web address at which the output folder is served, for links in the UI.",
    )
    sources: str = Field(
        default="",
        description="Folders below which sources may lie, with : between. Empty: the working"
        " directory.",
    )
    pages_folder: str | None = Field(
        default=None,
        description="The output folder that this address serves; runs into other folders get no"
        " links. Empty: any.",
    )
    lease_s: float = Field(
        default=60,
        gt=0,
        description="Seconds after which the lock of a dead process on S3 expires.",
    )
    backoff_s: float = Field(
        default=1.0,
        ge=0,
        description="Longest wait in seconds before the second attempt; it doubles with each.",
    )

    def pages_of(self, output: str) -> str | None:
        """The address of an output's pages; None: it is not served.

        Args:
            output: The full name of the output folder.
        """
        if self.pages_folder is None or absolute(self.pages_folder) == absolute(output):
            return self.pages_url
        return None

    @field_validator("pages_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        return checked_pages_url(value)


def checked_base_url(url: str, *, allow_http: bool = False) -> str:
    """Check an endpoint's address.

    Args:
        url: The address, with or without `/chat/completions` at its end. A query such as
            `?api-version=` is kept.
        allow_http: Allow http to other machines.

    Returns:
        The address without a trailing slash.

    Raises:
        BadInput: It is not https (or http on this machine), or has no host, or holds credentials.
    """
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise BadInput(
            "base URL: this is not an address; give one like https://api.example.com/v1"
        ) from None
    host = parts.hostname or ""
    if parts.username or parts.password:
        raise BadInput(
            f"base URL of {host}: it holds credentials; put the key into OPENAI_API_KEY or a block"
        )
    query = parse_qsl(parts.query, keep_blank_values=True)
    if secret := [n for n, value in query if _SECRET_NAME.search(n) or _SECRET_VALUE.match(value)]:
        raise BadInput(
            f"base URL of {host}: its query holds {secret[0][:40]!r}, which would be kept and"
            " shown; put the key into OPENAI_API_KEY or a block"
        )
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(
            f"base URL {url!r}: this is not an http(s) address;"
            " give one like https://api.example.com/v1"
        )
    if parts.scheme == "http" and not on_this_machine(host) and not allow_http:
        raise BadInput(
            f"base URL {url!r}: http would send the key and the topics unencrypted;"
            " use https, or set LLM_REPORTS_ALLOW_HTTP=true"
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")
    kept = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{kept}"


def on_this_machine(host: str) -> bool:
    """Whether a host is this machine; its whole address decides, not the beginning of its name."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def store_location(chosen: str | None, settings: Settings) -> str:
    """The location of the store: the batch's choice, else the environment's.

    Args:
        chosen: The batch's choice; None or empty: none.
        settings: The environment.

    Returns:
        An address in S3, or an absolute path.
    """
    return absolute(chosen or settings.store)
