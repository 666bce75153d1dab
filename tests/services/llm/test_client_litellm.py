"""LiteLLM's proxy in front of the fake endpoint: keys, models and prices are the proxy's."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
import yaml

from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.foreign import LITELLM, environment, serving
from tests.services.llm.conftest import Products, all_well

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

KEY = "sk-master-0123456789"


def about(usd: Decimal) -> Any:
    """A cost as the proxy computes it, in binary fractions."""
    return pytest.approx(usd, abs=Decimal("1e-12"))


class Proxy(NamedTuple):
    """The proxy's base URL, and the endpoint behind it."""

    base_url: str
    behind: Endpoint


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy, with one model that has a price."""
    program = environment(*LITELLM) / "litellm"
    folder = tmp_path_factory.mktemp("litellm")
    with Endpoint() as behind:
        params = {"model": "openai/fake-large", "api_base": behind.base_url, "api_key": "sk-behind"}
        prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
        config = {
            "model_list": [{"model_name": "house", "litellm_params": {**params, **prices}}],
            "general_settings": {"master_key": KEY},
            "litellm_settings": {"num_retries": 0, "telemetry": False},
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        command = [program, "--config", folder / "config.yaml", "--host", "127.0.0.1", "--port"]
        with serving(
            lambda port: [*command, str(port)],
            folder,
            ready="/health/liveliness",
            settings={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        ) as url:
            yield Proxy(f"{url}/v1", behind)


def test_a_batch_and_a_nested_branch_end_well_at_the_proxys_price(
    proxy: Proxy, products: Products
) -> None:
    """The cost that the proxy names is booked, and holds a budget."""
    products.point_to(proxy.base_url, KEY)
    before = proxy.behind.billed_usd(1, 2)
    batch = products.reports("house", prices={"house": {"input": 1, "output": 2}}, budget_usd=1)
    all_well(batch)
    assert batch.cost_usd == about(proxy.behind.billed_usd(1, 2) - before)
    all_well(products.branches("house"))


def test_without_a_price_of_ones_own_the_proxys_is_booked(proxy: Proxy, products: Products) -> None:
    """Nobody but the proxy knows what its model costs."""
    products.point_to(proxy.base_url, KEY)
    before = proxy.behind.billed_usd(1, 2)
    batch = products.reports("house")
    all_well(batch)
    assert batch.cost_usd == about(proxy.behind.billed_usd(1, 2) - before)


@pytest.mark.parametrize(
    ("key", "model", "kind"),
    [
        ("sk-wrong-0123456789", "house", "key_rejected"),
        (KEY, "no-such-model", "model_not_found"),
    ],
)
def test_what_concerns_all_stops_the_batch(
    proxy: Proxy, products: Products, key: str, model: str, kind: str
) -> None:
    """The client reads the proxy's own refusals by their words, whatever their status."""
    products.point_to(proxy.base_url, key)
    batch = products.reports(model)
    assert batch.status == "stopped"
    assert batch.error
    assert batch.error.kind == kind, batch.error
    # Which topic asks first is up to chance; the others are not asked.
    kinds = {report.error.kind for report in batch.reports if report.error}
    assert kind in kinds <= {kind, "calls_stopped"}


def test_limits_and_faults_behind_the_proxy_pass(proxy: Proxy, products: Products) -> None:
    """A 429 from behind is flow control, a 500 is tried again, a filter's no is one topic's."""
    products.point_to(proxy.base_url, KEY)
    proxy.behind.fail(faults.rate_limited(0.2), times=2, when=lambda r: r.step != "models")
    proxy.behind.fail(faults.status(500), step="critique", times=1)
    refused = faults.error(400, "The prompt was flagged", code="content_filter")
    proxy.behind.fail(refused, topic="Flagged", times=None)
    batch = products.reports("house", topics=["Tidal power", "Flagged", "C++"])
    assert [r.status for r in batch.reports] == ["published", "failed", "published"], batch
    assert batch.reports[1].error
    assert "flagged" in batch.reports[1].error.message


def test_parameters_that_the_model_does_not_take_are_left_out(
    proxy: Proxy, products: Products
) -> None:
    """What the proxy itself knows of, and what only the model refuses."""
    products.point_to(proxy.base_url, KEY)
    proxy.behind.fail(
        faults.error(400, "Unrecognized request argument supplied: top_k"),
        times=None,
        when=lambda r: isinstance(r.body, dict) and "top_k" in r.body,
    )
    batch = products.reports(
        "house", topics=["Heat pumps"], reasoning_effort="low", extra_body={"top_k": 5, "seed": 3}
    )
    assert batch.status == "complete", batch.model_dump_json(indent=1)
