"""Save the automations that watch the runs; run it again to update them.

    python deployments/save_automations.py
    python deployments/save_automations.py --notify slack-webhook/ops
    LLM_REPORTS_NOTIFY_URL=https://hooks.example.com/... python deployments/save_automations.py
    python deployments/save_automations.py --remove

A run of this project's deployments whose process died sends no heartbeats any more; an automation
marks it Crashed. Another starts crashed runs again, on any worker of the pool, a few times at most;
they pay for no answer twice. Given a notification block, or an address to post to, further
automations report failed, stopped, crashed and late runs and used-up budgets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, get_args

from prefect import Flow
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import BlockDocument, StateType
from prefect.events import AutomationCore, EventTrigger, Posture
from prefect.events.actions import CallWebhook, ChangeFlowRunState, SendNotification
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from prefect_llm_reports import flows
from prefect_llm_reports.flows.cli.parsing import Parser
from prefect_llm_reports.tasks.runtime.states import Ending

PREFIX = "llm-reports: "
RUN = "prefect.flow-run."
HEARTBEAT_S = 180
"""Seconds between two heartbeats of a run, unless PREFECT_FLOWS_HEARTBEAT_FREQUENCY is set."""
SHORTEST_S = 30
"""Seconds between two heartbeats at least, as Prefect allows."""
URL_BLOCK = "llm-reports-notifications"
"""Name of the webhook block that keeps LLM_REPORTS_NOTIFY_URL."""
OVER = {RUN + name for name in (*get_args(Ending), "Crashed", "Cancelled", "TimedOut")}
"""Events of runs that have ended."""
GONE = {RUN + name for name in ("Suspended", "AwaitingRetry")}
"""Events of runs that left their process and continue later."""
MESSAGE = (
    "{{ deployment.name }}: run {{ flow_run.name | replace('<', '(') | replace('@', '(at)') }} is"
    " {{ flow_run.state.name }}."
    " {{ (flow_run.state.message or '') | replace('<', '(') | replace('@', '(at)') }}"
)
"""Text of a notification. Names and messages may hold model output, so they mention nobody."""


def flow_names() -> list[str]:
    """List the names of all flows of this project."""
    found = [module.name for module in iter_modules(flows.__path__) if not module.ispkg]
    modules = [import_module(f"{flows.__name__}.{name}") for name in found]
    return sorted({v.name for m in modules for v in vars(m).values() if isinstance(v, Flow)})


def trigger(*expect: str, run: dict[str, Any] | None = None, **more: Any) -> EventTrigger:
    """Make a trigger that watches each run of a deployment of this project's flows.

    Args:
        expect: Events that fire the trigger, or that a proactive one waits for.
        run: Labels that the run's event has.
        more: Further fields of the trigger.
    """
    return EventTrigger(
        match={"prefect.resource.id": f"{RUN}*", **(run or {})},
        match_related=[
            {"prefect.resource.role": "flow", "prefect.resource.name": flow_names()},
            {"prefect.resource.role": "deployment"},
        ],
        for_each={"prefect.resource.id"},
        expect=set(expect),
        **more,
    )


def watching(silent_after: int, begin_within: int, restarts: int) -> list[AutomationCore]:
    """Make the automations that crash silent runs and start crashed runs again.

    Args:
        silent_after: Seconds without a heartbeat after which a run is dead.
        begin_within: Seconds from Pending to the first event, after which a run is dead.
        restarts: How many times a crashed run starts again.
    """
    again = ChangeFlowRunState(
        state=StateType.SCHEDULED, name="AwaitingRetry", message="Starts again after a crash."
    )
    counts = [str(n) for n in range(1, restarts + 1)]
    saved = [
        _crashing(
            "silent runs are crashed",
            f"No heartbeat for {silent_after} s: the process or its machine died.",
            within=silent_after,
            after="heartbeat",
            expect={f"{RUN}heartbeat", *OVER, *GONE},
        ),
        _crashing(
            "runs that never began are crashed",
            f"Not started within {begin_within} s: the worker or its machine died.",
            within=begin_within,
            after="Pending",
            expect={f"{RUN}*"},
        ),
        AutomationCore(
            name=f"{PREFIX}crashes before the begin are tried again",
            description="Once a day at most for each run.",
            trigger=trigger(
                f"{RUN}Crashed", run={"prefect.run-count": "0"}, within=timedelta(days=1)
            ),
            actions=[again],
        ),
    ]
    if restarts:
        saved.append(
            AutomationCore(
                name=f"{PREFIX}crashed runs begin again",
                description=f"Up to {restarts} times for each run; it reuses the paid answers.",
                trigger=trigger(f"{RUN}Crashed", run={"prefect.run-count": counts}),
                actions=[again],
            )
        )
    return saved


def _crashing(
    name: str, message: str, *, within: int, after: str, expect: set[str]
) -> AutomationCore:
    """Make an automation that marks a run Crashed if no expected event follows `after` in time."""
    return AutomationCore(
        name=PREFIX + name,
        description=message,
        trigger=trigger(
            *expect,
            after={RUN + after},
            posture=Posture.Proactive,
            within=timedelta(seconds=within),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def notifications(block: BlockDocument) -> list[AutomationCore]:
    """Make the automations that send notifications.

    Args:
        block: The notification or webhook block that they use.
    """
    events = {
        "failed": ("Failed", "Partial", "Stopped", "TimedOut"),
        "budget exhausted": ("BudgetExhausted",),
        "crashed": ("Crashed",),
        "late": ("Late",),
    }
    return [
        AutomationCore(
            name=f"{PREFIX}tell of runs that are {what}",
            description=f"Sends through the block {block.name}.",
            trigger=trigger(*(RUN + name for name in names)),
            actions=[_notification(block, what)],
        )
        for what, names in events.items()
    ]


def _notification(block: BlockDocument, what: str) -> CallWebhook | SendNotification:
    link = "{{ flow_run | ui_url }}"
    if block.block_type and block.block_type.slug == "webhook":
        payload = (
            '{"text": {% filter tojson %}' + f"{MESSAGE} {link}" + "{% endfilter %},"
            ' "what": "' + what + '", "flow_run_id": "{{ flow_run.id }}",'
            ' "state": {{ flow_run.state.name | tojson }}}'
        )
        return CallWebhook(block_document_id=block.id, payload=payload)
    return SendNotification(
        block_document_id=block.id, subject=f"LLM reports: {what}", body=f"{MESSAGE}\n{link}"
    )


def notifier(client: SyncPrefectClient, named: str | None, url: str | None) -> BlockDocument | None:
    """Find the block for notifications.

    Args:
        client: The Prefect API.
        named: A saved block as TYPE/NAME.
        url: An address to post to, which is saved in a block; used if no block is named.

    Returns:
        The block; None if neither is given.
    """
    if not named and url:
        headers = SecretDict({"Content-Type": "application/json"})
        block = Webhook(url=SecretStr(url), headers=headers)
        block.save(URL_BLOCK, overwrite=True, _sync=True)  # pyright: ignore
        named = f"webhook/{URL_BLOCK}"
    if not named:
        return None
    slug, _, name = named.partition("/")
    try:
        return client.read_block_document_by_name(name, slug)
    except ObjectNotFound:
        sys.exit(
            f"error: no block {named} is saved on this server; save it in the UI under Blocks, and"
            " give its type and name, such as slack-webhook/ops"
        )


def save(client: SyncPrefectClient, automation: AutomationCore) -> str:
    """Create an automation, or update the one of its name; return what happened in a word.

    One that somebody has switched off stays off.
    """
    found = client.read_automations_by_name(automation.name)
    if not found:
        client.create_automation(automation)
        return "saved"
    for twin in found[1:]:
        client.delete_automation(twin.id)
    off = "" if found[0].enabled else " (off)"
    automation = automation.model_copy(update={"enabled": found[0].enabled})
    kept = AutomationCore.model_validate(found[0].model_dump(exclude={"id"}))
    if kept == AutomationCore.model_validate(automation.model_dump()):
        return f"unchanged{off}"  # an update makes the server forget the runs it waits for
    whole = automation.model_dump(exclude={"owner_resource"})  # the API refuses it in an update
    client.update_automation(found[0].id, AutomationCore.model_validate(whole))
    return f"updated{off}"


def remove(client: SyncPrefectClient) -> Iterable[str]:
    """Delete every automation of this command, and give their names."""
    for automation in client.read_automations():
        if automation.name.startswith(PREFIX):
            client.delete_automation(automation.id)
            yield automation.name


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and save or remove the automations.

    Args:
        arguments: The arguments; None: those of this process.
    """
    program = None if arguments is None else "llm-reports automations"
    parser = Parser(program, description="Save automations that watch the runs.")
    parser.add_argument(
        "--notify",
        metavar="TYPE/NAME",
        default=os.environ.get("LLM_REPORTS_NOTIFY"),
        help="a saved notification or webhook block, such as slack-webhook/ops; default:"
        " LLM_REPORTS_NOTIFY, else a webhook to LLM_REPORTS_NOTIFY_URL",
    )
    parser.add_argument(
        "--silent-after",
        metavar="SECONDS",
        type=int,
        default=3 * HEARTBEAT_S,
        help="mark a run Crashed after this time without a heartbeat; use three times the workers'"
        " PREFECT_FLOWS_HEARTBEAT_FREQUENCY, default: %(default)s",
    )
    parser.add_argument(
        "--begin-within",
        metavar="SECONDS",
        type=int,
        default=1800,
        help="mark a run Crashed that a worker took but did not start in this time,"
        " default: %(default)s",
    )
    parser.add_argument(
        "--restarts",
        metavar="N",
        type=int,
        default=2,
        help="how many times a crashed run starts again by itself, default: %(default)s",
    )
    parser.add_argument("--remove", action="store_true", help="delete these automations")
    chosen = parser.parse_args(arguments)
    if chosen.silent_after <= SHORTEST_S:
        parser.error(
            f"--silent-after is {chosen.silent_after}; give more than {SHORTEST_S}, Prefect's"
            " shortest time between two heartbeats"
        )
    if chosen.begin_within < 10 or chosen.restarts < 0:
        parser.error(
            f"--begin-within is {chosen.begin_within}, --restarts {chosen.restarts}; give at least"
            " 10 and at least 0"
        )
    with get_client(sync_client=True) as client:
        if chosen.remove:
            removed = [f"removed {name}\n" for name in remove(client)]
            sys.stdout.writelines(removed or ["there was none to remove\n"])
            return
        url = os.environ.get("LLM_REPORTS_NOTIFY_URL")
        block = notifier(client, chosen.notify, url)
        wanted = watching(chosen.silent_after, chosen.begin_within, chosen.restarts)
        wanted += notifications(block) if block else []
        for automation in wanted:
            sys.stdout.write(f"{save(client, automation)} {automation.name}\n")
        if block is None:
            sys.stdout.write(
                "No automation sends notifications of failed, crashed, late or stopped runs. To get"
                " them, give --notify TYPE/NAME or set LLM_REPORTS_NOTIFY_URL, and run this"
                " again.\n"
            )


if __name__ == "__main__":
    main()
