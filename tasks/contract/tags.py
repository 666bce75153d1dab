"""The tags that delimit untrusted text in a prompt.

Here: their names, how a prompt encloses text in them, and how a reader of the prompt finds that
text again. Not here: the prompts (`calls.prompts`, `templates/prompts`) and their readers, the
embedded engine (`offline`) and the tests' fake endpoint.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache


class Tag(StrEnum):
    """Names of tags, as templates spell them; text inside a tag can neither open nor close one."""

    TOPIC = "topic"
    GUIDANCE = "guidance"
    HOUSE_STYLE = "house_style"
    DRAFT = "draft"
    CRITIQUE = "critique"
    SETBACKS = "setbacks"
    REPORT = "report"
    QUERY = "query"
    SCHEMA = "schema"
    VARIANT = "variant"
    CANDIDATE = "candidate"
    INPUT = "input"
    INSTRUCTIONS = "instructions"
    PROBLEM = "problem"
    PASSAGE = "passage"
    FINDINGS = "findings"
    CLAIM = "claim"
    QUOTE = "quote"


GROUNDED = (Tag.PASSAGE, Tag.FINDINGS, Tag.CLAIM, Tag.QUOTE)
"""Tags that only prompts with sources have; other prompts need not escape them."""
_NAMES = "|".join(Tag)
_PLAIN_NAMES = "|".join(tag for tag in Tag if tag not in GROUNDED)
_UNSEEN = r"[\s\x00-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]*"
_OPENED = re.compile(rf"^<({_NAMES})>\n", re.MULTILINE)
_ESCAPED = re.compile(rf"&lt;(/?(?:{_NAMES})>)")


def delimited(tag: str, text: str) -> str:
    """Enclose untrusted text in a tag, each end on a line of its own.

    Args:
        tag: One of `Tag`, or a name that a user's template brings.
        text: The text; each of our tags in it, and the given one, is escaped.
    """
    return _delimited(tag, text, _PLAIN_NAMES)


def delimited_with_sources(tag: str, text: str) -> str:
    """Enclose untrusted text in a tag, as `delimited` does, in a prompt with sources."""
    return _delimited(tag, text, _NAMES)


def _delimited(tag: str, text: str, names: str) -> str:
    return f"<{tag}>\n{_tags(tag, names).sub('&lt;', text)}\n</{tag}>"


@lru_cache(maxsize=128)
def _tags(tag: str, names: str) -> re.Pattern[str]:
    names = f"{names}|{re.escape(tag)}"
    return re.compile(rf"<(?={_UNSEEN}(?:/{_UNSEEN})?(?:{names})\b)", re.IGNORECASE)


def enclosed(prompt: str) -> list[tuple[Tag, str]]:
    """Find every text that `delimited` enclosed in one of our tags, in order.

    A tag inside another one is part of the text. Escaped tags in the text are plain again.
    """
    found: list[tuple[Tag, str]] = []
    unclosed: set[str] = set()
    at = 0
    while opened := _OPENED.search(prompt, at):
        at, tag = opened.end(), opened[1]
        end = -1 if tag in unclosed else prompt.find(f"\n</{tag}>", at - 1)
        if end < 0:
            unclosed.add(tag)
            continue
        found.append((Tag(tag), _ESCAPED.sub(r"<\1", prompt[at : max(at, end)])))
        at = end + len(f"\n</{tag}>")
    return found
