"""llmock, a server that breaks on demand and judges how the client took it: all must pass."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.foreign import MOCKS, environment, serving
from tests.services.llm.conftest import Products, all_well

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


class Mock:
    """A running llmock.

    Attributes:
        url: Its address, without a path.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def behave(self, *behaviors: dict[str, Any]) -> None:
        """Forget what was, and behave like this from now on."""
        self._post("reset", {})
        if behaviors:
            self._post("scenario", {"behaviors": list(behaviors)})

    def assert_resilient(self) -> None:
        """Assert that the client got neither an error nor a warning, and saw what was planned."""
        verdict = json.loads(self._get("verdict"))
        assert verdict["passed"], verdict
        assert verdict["findings"] == []

    def faults(self) -> int:
        """Faults that were injected since `behave`."""
        return json.loads(self._get("verdict"))["faults_injected"]

    def _get(self, name: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/_llmock/{name}", timeout=60) as response:
            return response.read()

    def _post(self, name: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.url}/_llmock/{name}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60):
            pass


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    """The server."""
    program = environment(*MOCKS) / "llmock"
    folder = tmp_path_factory.mktemp("llmock")
    command = [program, "serve", "--log-level", "warning", "--port"]
    with serving(lambda port: [*command, str(port)], folder, ready="/health") as url:
        yield Mock(url)


FAULTS: dict[str, tuple[dict[str, Any], ...]] = {
    "rate limits": (
        {"type": "fail", "status": 429, "retry_after": 0.3, "times": 3},
        {"type": "fail", "status": 429, "times": 2},
    ),
    "overloads": (
        {"type": "fail", "status": 503, "times": 1},
        {"type": "fail", "status": 529, "times": 1},
    ),
    "server errors": ({"type": "fail", "status": 500, "times": 2},),
    "a gateway's": (
        {"type": "fail", "status": 502, "times": 1},
        {"type": "fail", "status": 504, "times": 1},
    ),
    "time-outs": ({"type": "fail", "status": 408, "times": 1},),
}


def test_a_batch_and_a_nested_branch_end_well(mock: Mock, products: Products) -> None:
    """Nothing breaks; the mock answers forms with instances of their schemas."""
    products.point_to(f"{mock.url}/v1")
    mock.behave()
    all_well(products.reports("gpt-5-mini"))
    all_well(products.branches("gpt-5-mini"))
    mock.assert_resilient()


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_what_passes_is_waited_out(
    mock: Mock, products: Products, faults: tuple[dict[str, Any], ...]
) -> None:
    """Every report is published, and the mock finds nothing wrong with how."""
    products.point_to(f"{mock.url}/v1")
    mock.behave(*faults)
    batch = products.reports("gpt-5-mini", topics=["Tidal power", "C++"], concurrency=2)
    assert batch.status == "complete", batch.model_dump_json(indent=1)
    assert mock.faults() == sum(fault["times"] for fault in faults)
    mock.assert_resilient()


RULES = """
version: 1
defaults: {fallback: deterministic_echo}
rules:
- name: busy
  when: {messages_contain: "Traffic jams"}
  respond: {status: 503, error: "overloaded, try again later"}
- name: critique
  when: {messages_contain: "Judge this draft"}
  respond:
    content: '```json
      {"score": 9, "strengths": ["a"], "improvements": ["b"], "summary": "Good."}
      ```'
- name: branch
  when: {messages_contain: "Weigh the risks"}
  respond:
    content: 'Here it is: {"verdict": "buy", "score": 7, "risks": [{"name": "a", "odds": 1,
      "owners": []}]}'
- name: reader
  when: {messages_contain: "Think."}
  respond: {content: '{"thinking": "t", "answer": "a"}'}
"""


def test_fakellm_that_knows_no_forms_ends_well(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, products: Products
) -> None:
    """It ignores every form, and wraps JSON in fences and sentences; an overload is one topic's."""
    (tmp_path / "rules.yaml").write_text(RULES)
    program = environment(*MOCKS) / "fakellm"
    command = [program, "serve", "--config", tmp_path / "rules.yaml", "--port"]
    folder = tmp_path_factory.mktemp("fakellm")
    with serving(lambda port: [*command, str(port)], folder, ready="/_fakellm/stats") as url:
        products.point_to(f"{url}/v1")
        all_well(products.reports("gpt-5-mini"))
        all_well(products.branches("gpt-5-mini"))
        batch = products.reports("gpt-5-mini", topics=["Heat pumps", "Traffic jams"])
    assert [report.status for report in batch.reports] == ["published", "failed"]
    assert batch.reports[1].error
    assert "overloaded, try again later" in batch.reports[1].error.message
