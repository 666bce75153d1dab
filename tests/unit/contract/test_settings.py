"""Addresses of endpoints: what is taken, what is mended, what is refused."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.settings import Settings, checked_base_url

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
    "https://h/v1?subscription-key=1",
    "https://h/v1?X-Amz-Signature=1",
    "https://h/v1?Authorization=Bearer%201",
    "https://h/v1?t=sk-proj-0123456789abcdef01",
    "ftp://h/v1?key=1",
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


@pytest.mark.parametrize(
    "name",
    [
        "LLM_REPORTS_STORE",
        "LLM_REPORTS_ALLOW_HTTP",
        "LLM_REPORTS_PRICES",
        "LLM_REPORTS_PAGES_URL",
        "LLM_REPORTS_PAGES_FOLDER",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    ],
)
def test_an_empty_variable_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`LLM_REPORTS_STORE=` is not the folder where the command is started."""
    monkeypatch.delenv(name, raising=False)
    without = Settings()
    monkeypatch.setenv(name, "")
    assert Settings() == without


@pytest.mark.parametrize(
    ("folder", "output", "served"),
    [
        (None, "anything", True),
        ("reports", "reports", True),
        ("reports", "./reports/", True),
        ("reports", "s3://bucket/reports", False),
        ("reports", "other", False),
        ("s3://bucket/reports", "s3://bucket/reports", True),
    ],
)
def test_links_lead_to_the_folder_that_is_served(
    folder: str | None, output: str, served: bool
) -> None:
    """A run into another folder has no pages at the address."""
    settings = Settings(pages_url="https://reports.example.com", pages_folder=folder)
    assert settings.pages_of(output) == ("https://reports.example.com" if served else None)
