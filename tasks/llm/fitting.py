"""An answer that falls short: cut, too long for the endpoint, or not in the form asked for.

Here: the changed request by which it is asked for again. Not here: failed requests (`llm.repeats`).
"""

from __future__ import annotations

from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Asked, Message
from prefect_llm_reports.tasks.contract.errors import (
    AnswerTruncated,
    AnswerUnusable,
    EndpointUnavailable,
)
from prefect_llm_reports.tasks.llm.answer_forms import Invalid
from prefect_llm_reports.tasks.llm.call import Call
from prefect_llm_reports.tasks.llm.line import Line
from prefect_llm_reports.tasks.llm.repeats import AGAIN
from prefect_llm_reports.tasks.llm.replies import Reply

MAX_REASKS = 2
"""Times that the model is asked again with the reason why its answer is unusable."""

SHOWN_AGAIN = 20_000
"""Characters of an unusable answer that the model is shown again."""

EARLY = 0.9
"""Part of the limit that was asked for, below which an answer was cut by another limit."""

REASK = """Your answer cannot be used: {problem}

Answer again, completely and in the required form, and return nothing else."""


def accepted(call: Call, line: Line, reply: Reply) -> Answer | None:
    """The answer in the form that is kept; None: the call is changed, ask again.

    Raises:
        CallError: Asking again would not help.
    """
    ask = call.ask
    if reply.truncated:
        _enlarge(call, line, reply)
        return None
    try:
        text = _fitting(ask, reply)
    except Invalid as problem:
        if call.reasks == MAX_REASKS:
            raise AnswerUnusable(
                f"still not usable after asking {MAX_REASKS + 1} times: {problem} {AGAIN},"
                " or choose another model for this step"
            ) from None
        call.reasks += 1
        call.talk = (
            Message(role="assistant", content=reply.text[:SHOWN_AGAIN]),
            Message(role="user", content=REASK.format(problem=problem)),
        )
        return None
    return Answer(
        text=text,
        model=reply.model,
        endpoint=line.endpoint.base_url,
        created=reply.created,
        usage=call.usage,
        cost_usd=call.usd,
        request_id=reply.request_id,
        attempts=call.requests,
        asked=Asked(
            step=ask.step,
            kind=ask.kind,
            model=line.model_for(ask),
            item=ask.item,
            round=ask.round,
            chars=ask.chars,
            seconds=round(call.seconds, 3),
        ),
    )


def _fitting(ask: Ask, reply: Reply) -> str:
    """The text of a reply in the form that is kept.

    Raises:
        Invalid: It does not fit. A text in another field counts only if it does.
        EndpointUnavailable: There is no text.
    """
    for text in reply.elsewhere if ask.output_schema else ():
        try:
            return ask.accept(text)
        except Invalid:
            continue
    if reply.elsewhere:
        raise EndpointUnavailable(
            "the endpoint answered 200 without text", status=200, request_id=reply.request_id
        )
    return ask.accept(reply.text)


def _enlarge(call: Call, line: Line, reply: Reply) -> None:
    """Ask for a longer answer than the one that was cut.

    Raises:
        AnswerTruncated: A longer one is not to be had.
    """
    asked, got, first = call.output_tokens, reply.output_tokens, call.ask.max_output_tokens
    early = got is not None and got < asked * EARLY
    if early and not call.limit_tried and "max_completion_tokens" not in call.left_out:
        call.limit_tried = True
        call.without |= {"max_completion_tokens"}
        return
    most = line.dialect(call.ask).most_output
    if early or (most is not None and asked >= most):
        raise AnswerTruncated(
            f"the answer was cut: the endpoint's own limit is {got if early else most:,} tokens"
            f" for {line.model_for(call.ask)}; raise it there, or ask for less"
        )
    if asked > first:
        raise AnswerTruncated(
            f"the answer was cut at {asked} tokens, after one at {first}; raise max_output_tokens"
            " or ask for less"
        )
    call.output_tokens *= 2
