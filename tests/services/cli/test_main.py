"""Exit status, JSON document, batch.json, Prefect's state and the last line agree in every end."""

from __future__ import annotations

import json
import shutil
import signal
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from subprocess import Popen
from typing import Any

import pytest

from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.processes import CommandLine, ended, wait_until

pytestmark = pytest.mark.services

TOPICS = ("Tidal power", "Rust", "Vertical farming")
AGAIN = "Run the same command again to continue"
Act = Callable[[Popen[str], CommandLine], None]


@dataclass(frozen=True)
class Ending:
    """What is done to a run, and how it ends then.

    Attributes:
        fault: What the endpoint does to the requests of `step`, about `topic`; None: to all.
        act: What happens once each topic waits for the endpoint; None: nothing, it does not wait.
        kept: batch.json is there.
    """

    fault: faults.Reply
    status: int
    result: str
    state: str
    last: str
    topic: str | None = None
    step: str | None = None
    act: Act | None = None
    kept: bool = True


def signalled(number: int) -> Act:
    return lambda process, command: process.send_signal(number)


def storage_away(process: Popen[str], command: CommandLine) -> None:
    del process
    shutil.rmtree(command.output)
    command.output.write_text("no folder")


LAST_CALLS = partial(Ending, faults.held(), step="summary")
ENDINGS = {
    "one refused": Ending(
        faults.context_length_exceeded(), 3, "partial", "Partial", AGAIN, topic="Rust"
    ),
    "key rejected": Ending(faults.unauthorized(), 4, "stopped", "Stopped", AGAIN),
    "SIGTERM at the last calls": LAST_CALLS(
        0, "complete", "Completed", "index.html", act=signalled(signal.SIGTERM)
    ),
    "SIGHUP at the first calls": Ending(
        faults.held(), 129, "stopped", "Stopped", AGAIN, act=signalled(signal.SIGHUP)
    ),
    "storage away at the end": LAST_CALLS(
        4, "stopped", "Stopped", AGAIN, act=storage_away, kept=False
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=list(ENDINGS))
def test_all_that_tell_of_an_end_agree(ending: Ending, command: CommandLine) -> None:
    """One JSON document whatever happens, and no traceback."""
    with Endpoint() as endpoint:
        endpoint.fail(ending.fault, times=None, topic=ending.topic, step=ending.step)
        command.base_url = endpoint.base_url
        with command.started("run", *command.batch(TOPICS), "--json") as process:
            if ending.act:
                wait_until(lambda: endpoint.count(step=ending.step) == len(TOPICS))
                ending.act(process, command)
                endpoint.release()
            done = ended(process)
    assert done.status == ending.status, done.err
    assert done.result["status"] == ending.result
    batches = [json.loads(file.read_text()) for file in command.output.glob("*/batch.json")]
    assert batches == ([done.result] if ending.kept else [])
    assert last_state(command.api_url) == ending.state
    assert ending.last in done.err.splitlines()[-1]
    assert ("index.html" in done.err) == ending.kept
    assert "Traceback" not in done.err


def last_state(api_url: str) -> str:
    """The name of the state of the flow run that began last."""
    wanted: dict[str, Any] = {"sort": "START_TIME_DESC", "limit": 1}
    request = urllib.request.Request(
        f"{api_url}/flow_runs/filter",
        data=json.dumps(wanted).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        (run,) = json.loads(answer.read())
    return run["state"]["name"]
