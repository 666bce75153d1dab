"""Prompts: Jinja2 templates become chat messages; untrusted text enters as delimited data.

A template has two blocks, `system` and `user`. In it, `delimited(tag, text)` encloses untrusted
text (`contract.tags`). A user's own folder replaces packaged templates by name; all of them run in
the sandbox of `templates.sandbox`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from prefect_llm_reports.tasks.calls.judging import label
from prefect_llm_reports.tasks.contract.calls import Message
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import Critic, ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.contract.tags import delimited
from prefect_llm_reports.tasks.templates.sandbox import (
    Limits,
    Sandbox,
    misnamed,
    own_folder,
    problem_of,
)

PROMPTS = ("writer", "critic", "reviser", "summarizer")
MAX_PROMPT_CHARS = 2_000_000
MAX_RENDER_S = 2.0


@lru_cache(maxsize=16)
def _environment(folder: str | None) -> Sandbox:
    limits = Limits(chars=MAX_PROMPT_CHARS, seconds=MAX_RENDER_S)
    return Sandbox("prompts", folder, limits, escape=False, known={"delimited": delimited})


def _messages(name: str, folder: str | None, values: dict[str, Any]) -> tuple[Message, ...]:
    blocks = _environment(folder).blocks(f"{name}.j2", ("system", "user"), values)
    system, user = (re.sub(r"\n{3,}", "\n\n", text).strip() for text in blocks)
    return (Message(role="system", content=system), Message(role="user", content=user))


def _wishes(topic: Topic, options: ReportOptions) -> dict[str, Any]:
    return {
        "topic": topic.title,
        "guidance": topic.guidance,
        "language": options.language,
        "audience": options.audience,
        "length_words": options.length_words,
        "house_style": options.house_style,
    }


def writer_prompt(topic: Topic, options: ReportOptions, variant: str = "") -> tuple[Message, ...]:
    """The messages that ask for a first draft."""
    values = {**_wishes(topic, options), "variant": variant}
    return _messages("writer", options.templates, values)


def critic_prompt(
    topic: Topic, options: ReportOptions, draft: str, critic: Critic | None = None
) -> tuple[Message, ...]:
    """The messages that ask for a critique of a draft; `critic` adds one critic's point of view."""
    values = {
        **_wishes(topic, options),
        "draft": draft,
        "critic": critic.name if critic else "",
        "focus": critic.focus if critic else "",
    }
    return _messages("critic", options.templates, values)


def reviser_prompt(
    topic: Topic, options: ReportOptions, draft: str, critique: str, setbacks: str = ""
) -> tuple[Message, ...]:
    """The messages that ask for a revision of a draft by its critique.

    Args:
        topic: The topic of the report.
        options: The options of the batch.
        draft: The text to revise: the best-scored draft so far.
        critique: Its critique, as JSON.
        setbacks: The critiques of later revisions that scored lower; empty: none.
    """
    values = {
        **_wishes(topic, options),
        "draft": draft,
        "critique": critique,
        "setbacks": setbacks,
    }
    return _messages("reviser", options.templates, values)


def summarizer_prompt(topic: Topic, options: ReportOptions, report: str) -> tuple[Message, ...]:
    """The messages that ask for the executive summary of a report."""
    values = {**_wishes(topic, options), "report": report}
    return _messages("summarizer", options.templates, values)


def branch_prompt(
    instructions: str, query: str, inputs: Sequence[tuple[str, str]], variant: str
) -> tuple[Message, ...]:
    """The messages that ask a branch about an input.

    Args:
        instructions: The branch's instructions, by the author of the program.
        query: The input.
        inputs: Outputs of other branches: names and texts.
        variant: Number among several equal branches; empty: the first.
    """
    values = {
        "instructions": instructions,
        "query": query,
        "inputs": [{"name": name, "text": text} for name, text in inputs],
        "variant": variant,
    }
    return _messages("branch", None, values)


def judge_prompt(instructions: str, query: str, candidates: Sequence[str]) -> tuple[Message, ...]:
    """The messages that ask a judge to compare candidates, in the order given."""
    values = {
        "instructions": instructions,
        "query": query,
        "candidates": [{"name": label(at), "text": text} for at, text in enumerate(candidates)],
    }
    return _messages("judge", None, values)


def synthesizer_prompt(
    instructions: str, query: str, inputs: Sequence[tuple[str, str]]
) -> tuple[Message, ...]:
    """The messages that ask to combine answers, each with its name and its text."""
    parts = [{"name": name, "text": text} for name, text in inputs]
    return _messages(
        "synthesizer", None, {"instructions": instructions, "query": query, "inputs": parts}
    )


def check_templates(options: ReportOptions) -> None:
    """Render every prompt once with sample values.

    Raises:
        BadInput: A user's template is missing a block, uses an unknown variable or does not
            render; each problem names the template.
    """
    if options.templates is None:
        return
    folder = own_folder(options.templates)
    _environment.cache_clear()
    problems = misnamed(folder, "prompts", PROMPTS, "prompt")
    sample = Topic(title="Sample topic", guidance="Sample guidance")
    rendered = {
        "writer": lambda: writer_prompt(sample, options),
        "critic": lambda: critic_prompt(sample, options, "# Sample"),
        "reviser": lambda: reviser_prompt(sample, options, "# Sample", "{}", "{}"),
        "summarizer": lambda: summarizer_prompt(sample, options, "# Sample"),
    }
    for name, render in rendered.items():
        try:
            render()
        except KeyError as missing:
            problems.append(
                f"template prompts/{name}.j2: no block {missing}; it needs the blocks"
                " 'system' and 'user'"
            )
        except Exception as error:  # a user's expression can fail in any way
            problems.append(problem_of(f"prompts/{name}.j2", error))
    if problems:
        raise BadInput(*problems)
