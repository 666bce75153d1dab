"""Prompts: Jinja2 templates in, chat messages out; what is untrusted enters as delimited data.

A template has two blocks, `system` and `user`. `delimited(tag, text)` wraps untrusted text in a
tag of ours and breaks every such tag inside the text, so that it cannot close its own delimiter.
A folder of the user's own replaces packaged templates by name; it runs in a sandbox, sees plain
strings and numbers only, and is bounded in time and size.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, cast

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
)
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tasks.errors import BadInput
from tasks.options import Critic, ReportOptions
from tasks.schemas import Message, Topic

PROMPTS = ("writer", "critic", "reviser", "summarizer")
MAX_PROMPT_CHARS = 2_000_000
MAX_RENDER_S = 2.0

_OWN_TAGS = (
    "topic|guidance|house_style|draft|critique|setbacks|report|query|schema|variant"
    "|candidate|input|instructions|problem"
)
_UNSEEN = r"[\s\x00-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*"


def delimited(tag: str, text: str) -> str:
    """Wrap untrusted text in `<tag>` lines; this tag and our own inside it are escaped."""
    return f"<{tag}>\n{_tags(tag).sub('&lt;', text)}\n</{tag}>"


@lru_cache(maxsize=64)
def _tags(tag: str) -> re.Pattern[str]:
    names = f"{_OWN_TAGS}|{re.escape(tag)}"
    return re.compile(rf"<(?={_UNSEEN}(?:/{_UNSEEN})?(?:{names})\b)", re.IGNORECASE)


class _TooSlow(TemplateError):
    pass


_SWELLING = frozenset(
    {"center", "expandtabs", "format", "format_map", "join", "ljust", "replace", "rjust"}
    | {"translate", "zfill"}
)
_SWELLING_FILTERS = frozenset(
    {"batch", "center", "format", "indent", "slice", "urlize", "wordwrap", "xmlattr"}
)


def _fits(size: int) -> None:
    if size > MAX_PROMPT_CHARS:
        raise _TooSlow(f"makes a value of more than {MAX_PROMPT_CHARS} characters")


def _join(parts: Iterable[object], between: str = "") -> str:
    texts = [str(part) for part in parts]
    _fits(sum(len(text) + len(between) for text in texts))
    return between.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    _fits(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def wrap_str_format(self, value: Any) -> None:
        """Leave `format` to `is_safe_attribute`: a width in it makes a huge text."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Text methods by which a small template makes a huge value are out of reach, too."""
        if isinstance(obj, str | bytes) and attr in _SWELLING:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse operations by which a small template makes a huge value."""
        numbers = all(isinstance(side, int | float) for side in (left, right))
        if operator != "+":
            if not numbers or max(abs(left), abs(right)) > (64 if operator == "**" else 10**12):
                raise SecurityError(
                    f"the operator {operator} is for small numbers only in templates"
                )
        elif not numbers:
            _fits(len(left) + len(right))
        return super().call_binop(context, operator, left, right)


@lru_cache(maxsize=16)
def _environment(folder: str | None) -> _Sandbox:
    loaders: list[BaseLoader] = [PackageLoader("tasks", "templates/prompts")]
    if folder:
        loaders.insert(0, FileSystemLoader(Path(folder) / "prompts"))
    environment = _Sandbox(
        loader=ChoiceLoader(loaders),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    known = cast("dict[str, Any]", environment.globals)
    known.clear()
    known["delimited"] = delimited
    if folder:
        filters = cast("dict[str, Any]", environment.filters)
        for name in _SWELLING_FILTERS:
            del filters[name]
        filters.update(join=_join, replace=_replace)
    return environment


def _bounded(block: Any, context: Any) -> str:
    """Render one block of a user's template, within the time and size limits."""
    ends = time.monotonic() + MAX_RENDER_S

    def watch(frame: FrameType, _event: str, _arg: object) -> Any:
        if time.monotonic() > ends:
            raise _TooSlow(f"took longer than {MAX_RENDER_S:g} s to render")
        if frame.f_code.co_filename.endswith(".j2"):  # `set` doubles what `~` joins
            for value in frame.f_locals.values():
                if isinstance(value, str | list | tuple):
                    _fits(len(cast("str | list[object] | tuple[object, ...]", value)))
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        parts: list[str] = []
        size = 0
        for part in block(context):
            size += len(part)
            if size > MAX_PROMPT_CHARS:
                raise _TooSlow(f"rendered more than {MAX_PROMPT_CHARS} characters")
            parts.append(part)
    finally:
        sys.settrace(before)
    return "".join(parts)


def _messages(name: str, folder: str | None, values: dict[str, Any]) -> tuple[Message, ...]:
    template = _environment(folder).get_template(f"{name}.j2")
    context = template.new_context(values)

    def block(part: str) -> str:
        source = template.blocks[part]
        text = _bounded(source, context) if folder else "".join(source(context))
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    return (
        Message(role="system", content=block("system")),
        Message(role="user", content=block("user")),
    )


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
    """The messages that ask for a critique of a draft, from one critic's point of view if any."""
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
        topic: What the report is about.
        options: Wishes of the batch.
        draft: The text to revise, the best-scored so far.
        critique: Its critique, as JSON.
        setbacks: What was said against later revisions that scored lower; empty: none.
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
    """The messages that put an input to a branch.

    Args:
        instructions: What the branch is to do; written by the program's author.
        query: The input.
        inputs: What it reads of other branches: names and texts.
        variant: Which of several equal branches this is; empty: the first.
    """
    values = {
        "instructions": instructions,
        "query": query,
        "inputs": [{"name": name, "text": text} for name, text in inputs],
        "variant": variant,
    }
    return _messages("branch", None, values)


def judge_prompt(instructions: str, query: str, candidates: Sequence[str]) -> tuple[Message, ...]:
    """The messages that have candidates compared, in the order given."""
    values = {"instructions": instructions, "query": query, "candidates": list(candidates)}
    return _messages("judge", None, values)


def synthesizer_prompt(
    instructions: str, query: str, inputs: Sequence[tuple[str, str]]
) -> tuple[Message, ...]:
    """The messages that have answers combined: names and texts of what was answered."""
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
    folder = Path(options.templates)
    if not folder.is_dir():
        raise BadInput(f"templates {folder}: not a folder; give one that holds prompts/NAME.j2")
    _environment.cache_clear()
    problems = [
        f"template prompts/{found.name}: not the name of a prompt; use"
        f" {', '.join(f'{n}.j2' for n in PROMPTS)}"
        for found in sorted((folder / "prompts").glob("*.j2"))
        if found.stem not in PROMPTS
    ]
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
        except TemplateNotFound as error:
            problems.append(f"template prompts/{name}.j2: template {error} not found")
        except TemplateError as error:
            problems.append(f"template prompts/{name}.j2: {error}; correct the template")
        except Exception as error:  # a user's expression can fail in any way
            problems.append(f"template prompts/{name}.j2: {type(error).__name__}: {error}")
    if problems:
        raise BadInput(*problems)
