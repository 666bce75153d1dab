"""Reports with sources survive SIGKILL: no answer is bought twice, the judge's among them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.harness import faults
from tests.harness.checker import kept_requests, request_id
from tests.harness.endpoint import Endpoint
from tests.harness.personas import Persona
from tests.harness.processes import CONCURRENCY, CommandLine, kill_group, wait_until

pytestmark = pytest.mark.services

SOURCE = "\n\n".join(
    " ".join(
        f"The weir of Wexford {verb} {1000 + 17 * n} parts in the week after storm {n + 500}."
        for n, verb in enumerate(str.split(verbs))
    )
    for verbs in (
        "built moved bought opened tested closed shipped raised leased staffed",
        "painted sold mended lost counted lifted cleaned stored fixed marked",
    )
)


def test_a_kill_while_claims_are_judged_repeats_only_what_was_in_flight(
    command: CommandLine, tmp_path: Path
) -> None:
    """The next run asks again for the opinions that were under way; the one after it for none."""
    (tmp_path / "weir.txt").write_text(SOURCE)
    topics = ("Weirs", "Locks")
    batch = command.batch(
        topics, "--source", str(tmp_path / "weir.txt"), "--quality-threshold", "9"
    )
    allowed = {"LLM_REPORTS_SOURCES": str(tmp_path)}
    with Endpoint(script=Persona("liar", mends=True), scores=[8, 9]) as endpoint:
        command.base_url = endpoint.base_url
        endpoint.fail(faults.held(), step="support", times=None)
        with command.started("run", *batch, "--json", **allowed) as process:
            wait_until(lambda: endpoint.count(step="support") >= 2)
            kill_group(process)
        kept = kept_requests(command.store)
        endpoint.release()
        done = command.run(*batch, **allowed)
        assert done.status == 0, done.err
        asked = Counter(request.key for request in endpoint.requests)
        repeated = [key for key, times in asked.items() if times > 1]
        assert not {request_id(key) for key in repeated} & kept
        assert len(repeated) <= CONCURRENCY
        assert set(asked.values()) <= {1, 2}
        again = command.run(*batch, **allowed)
        assert again.result["calls"]["made"] == 0
        assert sum(asked.values()) == len(endpoint.requests)
    for report in again.result["reports"]:
        assert report["evidence"]["doubtful"] == 0
