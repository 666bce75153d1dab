"""Prompts: Jinja2 templates become chat messages; untrusted text enters as delimited data.

A template has two blocks, `system` and `user`. In it, `delimited(tag, text)` encloses untrusted
text (`contract.tags`). A user's own folder replaces packaged templates by name; all of them run in
the sandbox of `templates.sandbox`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from prefect_llm_reports.tasks.calls.judging import label
from prefect_llm_reports.tasks.contract.calls import Message
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.evidence import Grounds, Passage
from prefect_llm_reports.tasks.contract.options import Critic, ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.contract.tags import delimited, delimited_with_sources
from prefect_llm_reports.tasks.templates.rows import Row
from prefect_llm_reports.tasks.templates.sandbox import (
    Limits,
    Sandbox,
    misnamed,
    own_folder,
    problem_of,
)

PROMPTS = ("writer", "critic", "reviser", "summarizer")
GROUNDED = ("grounded_writer", "grounded_critic", "grounded_reviser", "grounded_summarizer")
"""In place of `PROMPTS` for topics with sources."""
PARTS = ("support", "grounding", "passages")
"""The judge's prompt, and what prompts with sources include."""
MAX_PROMPT_CHARS = 2_000_000
MAX_RENDER_S = 2.0


@lru_cache(maxsize=16)
def _environment(folder: str | None, *, sources: bool) -> Sandbox:
    limits = Limits(chars=MAX_PROMPT_CHARS, seconds=MAX_RENDER_S)
    known = {"delimited": delimited_with_sources if sources else delimited}
    return Sandbox("prompts", folder, limits, escape=False, known=known)


def _messages(
    name: str, folder: str | None, values: dict[str, Any], grounds: Grounds | None = None
) -> tuple[Message, ...]:
    sources = grounds is not None or name == "support"
    if grounds is not None:
        name, values = f"grounded_{name}", {**values, "passages": grounds.shown}
    environment = _environment(folder, sources=sources)
    blocks = environment.blocks(f"{name}.j2", ("system", "user"), values)
    system, user = (_tidy(text) for text in blocks)
    return (Message(role="system", content=system), Message(role="user", content=user))


def _tidy(text: str) -> str:
    """The text with one blank line at most between its paragraphs."""
    while "\n\n\n" in text:  # quicker than a regular expression, which looks at every sign
        text = text.replace("\n\n\n", "\n\n")
    return text.strip()


def _wishes(topic: Topic, options: ReportOptions) -> dict[str, Any]:
    return {
        "topic": topic.title,
        "guidance": topic.guidance,
        "language": options.language,
        "audience": options.audience,
        "length_words": options.length_words,
        "house_style": options.house_style,
        "row": Row(topic.row),
    }


def writer_prompt(
    topic: Topic, options: ReportOptions, variant: str = "", grounds: Grounds | None = None
) -> tuple[Message, ...]:
    """The messages that ask for a first draft; with grounds, for one that cites them."""
    values = {**_wishes(topic, options), "variant": variant}
    return _messages("writer", options.templates, values, grounds)


def critic_prompt(
    topic: Topic,
    options: ReportOptions,
    draft: str,
    critic: Critic | None = None,
    *,
    part_first: bool = False,
    grounds: Grounds | None = None,
) -> tuple[Message, ...]:
    """The messages that ask for a critique of a draft.

    Args:
        topic: The topic of the report.
        options: The options of the batch.
        draft: The text to judge.
        critic: Adds one critic's point of view.
        part_first: The critic's part stands before the draft, as in version 0.1.
        grounds: The passages that the draft was written from; None: it has no sources.
    """
    values = {
        **_wishes(topic, options),
        "draft": draft,
        "critic": critic.name if critic else "",
        "focus": critic.focus if critic else "",
        "part_first": part_first,
    }
    return _messages("critic", options.templates, values, grounds)


def reviser_prompt(
    topic: Topic,
    options: ReportOptions,
    draft: str,
    critique: str,
    setbacks: str = "",
    *,
    findings: str = "",
    grounds: Grounds | None = None,
) -> tuple[Message, ...]:
    """The messages that ask for a revision of a draft by its critique.

    Args:
        topic: The topic of the report.
        options: The options of the batch.
        draft: The text to revise: the best-scored draft so far.
        critique: Its critique, as JSON.
        setbacks: The critiques of later revisions that scored lower; empty: none.
        findings: What checking found in the draft, one fault a line; empty: nothing.
        grounds: The passages to write from; None: the report has no sources.
    """
    values = {
        **_wishes(topic, options),
        "draft": draft,
        "critique": critique,
        "setbacks": setbacks,
    }
    if grounds is not None:
        values["findings"] = findings
    return _messages("reviser", options.templates, values, grounds)


def summarizer_prompt(
    topic: Topic, options: ReportOptions, report: str, *, grounded: bool = False
) -> tuple[Message, ...]:
    """The messages that ask for the executive summary of a report.

    Args:
        topic: The topic of the report.
        options: The options of the batch.
        report: Its text; with sources, each note that failed a check says so.
        grounded: It has sources.
    """
    values = {**_wishes(topic, options), "report": report}
    return _messages("summarizer", options.templates, values, Grounds() if grounded else None)


def support_prompt(options: ReportOptions, pairs: Sequence[dict[str, Any]]) -> tuple[Message, ...]:
    """The messages that ask whether passages support sentences.

    Args:
        options: The options of the batch.
        pairs: For each, `name`, `sentence`, `passage`, `quote`, and whether the notes of the
            sentence are `shared` with other passages.
    """
    return _messages("support", options.templates, {"pairs": list(pairs)})


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


def unused_templates(options: ReportOptions) -> list[str]:
    """Warnings of the user's templates that topics with sources do not use.

    Args:
        options: Name the user's templates.
    """
    if options.templates is None:
        return []
    folder = own_folder(options.templates) / "prompts"
    return [
        f"template prompts/{name}.j2 is not used for topics with sources; {grounded}.j2 stands in"
        " its place: give one of this name, too"
        for name, grounded in zip(PROMPTS, GROUNDED, strict=True)
        if (folder / f"{name}.j2").is_file() and not (folder / f"{grounded}.j2").is_file()
    ]


def check_templates(options: ReportOptions, rows: Iterable[Mapping[str, str]] = ({},)) -> None:
    """Render every prompt with sample values.

    Args:
        options: Name the user's templates.
        rows: Rows of topics, one for each set of columns that there is.

    Raises:
        BadInput: A user's template is missing a block, uses an unknown variable or does not
            render; each problem names the template.
    """
    if options.templates is None:
        return
    folder = own_folder(options.templates)
    _environment.cache_clear()
    problems = misnamed(folder, "prompts", (*PROMPTS, *GROUNDED, *PARTS), "prompt")
    for row in rows:
        sample = Topic(title="Sample topic", guidance="Sample guidance", row=dict(row))
        found = _problems(sample, options)
        problems += [problem for problem in found if problem not in problems]
    if problems:
        raise BadInput(*problems)


def _problems(sample: Topic, options: ReportOptions) -> Iterator[str]:
    """What is wrong with a user's prompts about a sample topic."""
    passage = Passage(id="s1-1", source="s1", text="Sample passage", sha256="")
    shown = Grounds(passages=(passage,))
    names = ("name", "sentence", "passage", "quote", "shared")
    pair: dict[str, Any] = dict.fromkeys(names, "Sample")

    def revised(grounds: Grounds | None) -> tuple[Message, ...]:
        return reviser_prompt(
            sample, options, "# Sample", "{}", "{}", findings="Sample", grounds=grounds
        )

    rendered = {
        "writer": lambda: writer_prompt(sample, options),
        "critic": lambda: critic_prompt(sample, options, "# Sample"),
        "reviser": lambda: revised(None),
        "summarizer": lambda: summarizer_prompt(sample, options, "# Sample"),
        "grounded_writer": lambda: writer_prompt(sample, options, grounds=shown),
        "grounded_critic": lambda: critic_prompt(sample, options, "# Sample", grounds=shown),
        "grounded_reviser": lambda: revised(shown),
        "grounded_summarizer": lambda: summarizer_prompt(
            sample, options, "# Sample", grounded=True
        ),
        "support": lambda: support_prompt(options, [pair]),
    }
    for name, render in rendered.items():
        try:
            render()
        except KeyError as missing:
            yield (
                f"template prompts/{name}.j2: no block {missing}; it needs the blocks"
                " 'system' and 'user'"
            )
        except Exception as error:  # a user's expression can fail in any way
            yield problem_of(f"prompts/{name}.j2", error, sample.row)
