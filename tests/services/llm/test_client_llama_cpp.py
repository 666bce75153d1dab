"""llama.cpp's own server, with a tiny model that the test makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.foreign import LLAMA_CPP, environment, serving
from tests.services.llm.conftest import Products, all_well

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

SERVER = Path(__file__).with_name("llama_server.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's base URL."""
    programs = environment(*LLAMA_CPP)
    folder = tmp_path_factory.mktemp("llama")
    command = [programs / "python", SERVER, folder]
    with serving(lambda port: [*command, str(port)], folder, ready="/health") as url:
        yield f"{url}/v1"


def test_a_batch_and_a_nested_branch_end_well(server: str, products: Products) -> None:
    """Bounds in the schemas hold scores between 1 and 10, so no answer is asked for twice."""
    products.point_to(server)
    batch = products.reports()
    all_well(batch)
    assert all(report.score and 1 <= report.score <= 10 for report in batch.reports)
    assert batch.usage.output_tokens > 0
    all_well(products.branches())


def test_its_own_parameters_go_through(server: str, products: Products) -> None:
    """Sampling that only this server knows, and an effort that this model does not have."""
    products.point_to(server)
    all_well(
        products.reports(
            temperature=0.7,
            reasoning_effort="low",
            extra_body={"min_p": 0.0001, "repeat_penalty": 1.1, "cache_prompt": True},
        )
    )


def test_a_question_longer_than_the_context_is_one_topics_failure(
    server: str, products: Products
) -> None:
    """The others are published; the failure has the server's own sentence and what to do."""
    products.point_to(server)
    long = {"title": "Everything", "guidance": "Cover all of it. " * 1100}
    batch = products.reports(topics=["Tidal power", long])
    assert [report.status for report in batch.reports] == ["published", "failed"]
    error = batch.reports[1].error
    assert error
    assert "context" in error.message
    assert "choose a model with a longer context" in error.message
    assert error.attempts == 1


def test_a_limit_beyond_the_context_does_no_harm(server: str, products: Products) -> None:
    """A server that has less room than the answer may take answers as far as it can."""
    products.point_to(server)
    all_well(products.reports(max_output_tokens=200_000))
