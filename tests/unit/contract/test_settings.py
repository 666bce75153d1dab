"""Addresses of endpoints: what is taken, what is mended, what is refused."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.settings import checked_base_url

TAKEN = {
    "https://api.example.com/v1": "https://api.example.com/v1",
    " https://api.example.com/v1/ ": "https://api.example.com/v1",
    "https://api.example.com/v1/chat/completions": "https://api.example.com/v1",
    "https://api.example.com/v1/chat/completions/": "https://api.example.com/v1",
    "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21": (
        "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21"
    ),
    "https://h/v1/chat/completions?api-version=1": "https://h/v1?api-version=1",
    "http://127.0.0.1:8000/v1": "http://127.0.0.1:8000/v1",
    "http://127.8.9.1/v1": "http://127.8.9.1/v1",
    "http://[::1]:8000/v1": "http://[::1]:8000/v1",
    "http://LOCALHOST/v1": "http://LOCALHOST/v1",
}
REFUSED = [
    "http://127.0.0.1.evil.example/v1",
    "http://127.evil.example/v1",
    "http://localhost.evil.example/v1",
    "http://10.0.0.1/v1",
    "https://u:p@h/v1",
    "https://h/v1?api_key=sk-1",
    "https://h/v1?key=AIza",
    "https://h/v1?access_token=1",
    "https://h/v1?sig=1",
    "ftp://h/v1",
    "h/v1",
    "https://h:notaport/v1",
    "https://[::1/v1",
]


@pytest.mark.parametrize(("given", "kept"), TAKEN.items())
def test_an_address_keeps_its_query_and_loses_what_is_added_anyway(given: str, kept: str) -> None:
    """A pasted address of the whole route is the endpoint's, too."""
    assert checked_base_url(given) == kept


@pytest.mark.parametrize("given", REFUSED)
def test_an_address_that_would_tell_a_secret_is_refused(given: str) -> None:
    """This machine is known by its address; keys have no place in an address."""
    with pytest.raises(BadInput) as refused:
        checked_base_url(given)
    assert "sk-1" not in str(refused.value)
    assert "AIza" not in str(refused.value)
