"""The OpenAI client: one request sent, one response back, every other outcome a `CallError`.

The only importer of openai. No exception of the SDK leaves this module.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx2

from prefect_llm_reports.tasks.contract.errors import CallError
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.faults import AWAY, BodyTooLarge, broken_connection
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.transport import host_of, open_http

if TYPE_CHECKING:
    from openai import AsyncOpenAI

THERE_S = 5.0
"""Seconds in which an endpoint must show that it is there."""


class Client:
    """Connections to one endpoint; made by `opened`."""

    def __init__(self, sdk: AsyncOpenAI, host: str, headers: dict[str, Any]) -> None:
        self._sdk = sdk
        self._host = host
        self._options: Any = {"headers": headers}

    @classmethod
    async def opened(cls, endpoint: Endpoint, connections: int, resources: AsyncExitStack) -> Self:
        """Open connections; `resources` closes them.

        Args:
            endpoint: Where to ask.
            connections: Requests that may be under way at once.
            resources: Closes the connections at its end.
        """
        http = await resources.enter_async_context(
            open_http(endpoint.base_url, connections, endpoint.secrets)
        )
        from openai import AsyncOpenAI  # half a second; see `import_client`

        address, _, query = endpoint.base_url.partition("?")
        sdk = AsyncOpenAI(
            api_key=endpoint.api_key.get_secret_value(),
            base_url=address,
            default_query=dict(parse_qsl(query, keep_blank_values=True)),
            http_client=http,
            max_retries=0,
        )
        return cls(sdk, host_of(endpoint.base_url), _headers(endpoint))

    async def send(self, body: dict[str, Any]) -> Response:
        """Exchange one request for one response.

        Raises:
            CallError: No complete response came.
        """
        from openai import APIStatusError, OpenAIError

        handled = sys.exception()
        http: httpx2.Response
        try:
            # Not `chat.completions.create`: it would copy the body and parse the response, which
            # `llm.replies` parses more strictly.
            http = await self._sdk.post(
                "/chat/completions", body=body, options=self._options, cast_to=httpx2.Response
            )
        except APIStatusError as error:
            http = error.response
        except (OpenAIError, httpx2.HTTPError, BodyTooLarge, OSError) as error:
            raise broken_connection(error, self._host, handled) from None
        return Response(http.status_code, http.headers, http.content)

    async def is_there(self) -> bool:
        """Whether the endpoint itself responds to a request that costs nothing."""
        try:
            response = await self.models()
        except (CallError, TimeoutError):
            return False
        return response.status not in AWAY

    async def models(self) -> Response:
        """Ask for the list of models, which costs nothing.

        Raises:
            CallError: No complete response came.
            TimeoutError: None came in time.
        """
        from openai import APIStatusError, OpenAIError

        handled = sys.exception()
        http: httpx2.Response
        try:
            async with asyncio.timeout(THERE_S):
                http = await self._sdk.get(
                    "/models", options=self._options, cast_to=httpx2.Response
                )
        except APIStatusError as error:
            http = error.response
        except (OpenAIError, httpx2.HTTPError, BodyTooLarge, OSError) as error:
            raise broken_connection(error, self._host, handled) from None
        return Response(http.status_code, http.headers, http.content)


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    """The headers that an endpoint wants, beyond those of every request."""
    from openai import Omit

    headers: dict[str, Any] = {}
    key = endpoint.api_key.get_secret_value()
    if _is_azure(endpoint.base_url) and not _TOKEN.fullmatch(key):
        headers = {"Authorization": Omit(), "api-key": key}
    for name, value in endpoint.headers.items():
        headers = {known: one for known, one in headers.items() if known.lower() != name.lower()}
        headers["Authorization" if name.lower() == "authorization" else name] = (
            value.get_secret_value()
        )
    return headers


_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A token that Azure's directory gives out; it is sent as a bearer token, like other keys."""


def _is_azure(address: str) -> bool:
    """Whether an address is Azure's, which takes the key in a header of its own."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    return host.endswith((".azure.com", ".azure.us", ".azure.cn")) or (
        "/openai/deployments/" in f"{parts.path}/"
    )


def import_client() -> None:
    """Import what sends requests: it takes half a second, best spent while others are awaited.

    Only packages of others: this is called in a thread, and while another thread imports a package
    that beartype checks, Python names compiled modules in a way that pip does not uninstall.
    """
    for module in ("openai", "aiohttp"):
        import_module(module)
