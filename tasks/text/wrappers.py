"""What models put around a report: taken off where that is certain, and never a word of the report.

Here: reasoning, tags and code fences around the whole, front matter, a line that announces the
report, an offer after it. Not here: the phrases (`text.wrapper_phrases`), cleaning the report
itself (`text.cleaning`), answers of endpoints (`llm.replies`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from prefect_llm_reports.tasks.text.fences import FENCE, balanced
from prefect_llm_reports.tasks.text.wrapper_phrases import agrees, announces, names_summary, offers

MAX_LINE = 600
"""Characters of a line before or after a report; a longer one says more than that."""
MAX_LAYERS = 8

_THOUGHTS = (
    r"think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad|planning|plan"
    r"|inner_monologue|internal_monologue|chain_of_thought|cot|seed:think"
)
_REASONING = re.compile(
    rf"\s*(?:<(?P<tag>{_THOUGHTS})>.*?</(?P=tag)>"
    r"|\[THINK\].*?\[/THINK\]|\u25c1think\u25b7.*?\u25c1/think\u25b7"
    r"|<\|begin_of_thought\|>.*?<\|end_of_thought\|>"
    r"|(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)<\|message\|>.*?<\|end\|>)\s*",
    re.DOTALL | re.IGNORECASE,
)
_REASONING_END = re.compile(
    r"^[ \t]*(?:</think(?:ing)?>|\[/THINK\]|\u25c1/think\u25b7)[ \t]*$", re.M
)
_AROUND = (
    re.compile(
        r"\s*<(answer|report|final_report|final|output|response|article|document|markdown|draft"
        r"|result|revised_report|revision)>[ \t]*\n(.*)\n[ \t]*</\1>\s*",
        re.DOTALL | re.IGNORECASE,
    ),
    re.compile(r"\s*(<\|begin_of_solution\|>)(.*?)<\|end_of_solution\|>\s*", re.DOTALL),
    re.compile(
        r"\s*((?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>)(.*?)"
        r"(?:<\|(?:return|end)\|>)?\s*",
        re.DOTALL,
    ),
)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([\w+-]*)[ \t]*\Z")
_OF_TEXT = frozenset({"markdown", "md", "mdx", "gfm", "commonmark"})
_OF_ANYTHING = frozenset({"", "text", "txt", "plaintext", "plain"})
_HEADING = re.compile(r" {0,3}#{1,3}[ \t]+\S")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{2,})[ \t]*\Z")
_RULE = re.compile(r" {0,3}(?:-{3,}|\*{3,}|_{3,})[ \t]*\Z")
_FRONT = re.compile(
    r"\s*(?:```ya?ml[ \t]*\n)?(---|\+\+\+)[ \t]*\n((?:(?![ \t]*\n)[^\n]*\n){1,60}?)"
    r"(?:\1|\.\.\.)[ \t]*(?:\n```[ \t]*)?(?:\n|\Z)"
)
_KEY = re.compile(r"(?P<key>[A-Za-z_][\w-]*)[ \t]*[:=](?:[ \t]+(?P<value>.*))?\Z")
_KNOWN_KEYS = """title author authors date tags lang language keywords description topic subtitle
    layout categories category version summary abstract status created updated audience slug type
    draft published"""
_KNOWN = frozenset(_KNOWN_KEYS.split())
_MARKS = re.compile(r"[¡¿]|(?<!\w)[*_]{1,3}|[*_]{1,3}(?!\w)|\A\s*(?:>[ \t]?)*\s*|\s*\Z")
_NO_PROSE = re.compile(r"\s*(?:#{1,6}\s|[-*+]\s|\d+[.)]\s|\||```|~~~|\[\^)")


@dataclass(frozen=True)
class Unwrapped:
    """A report without what a model put around it.

    Attributes:
        text: The report.
        removed: What was taken off, in words; a line that was dropped is quoted.
    """

    text: str
    removed: tuple[str, ...] = ()


def unwrapped(text: str, *, report: bool = True) -> Unwrapped:
    """Take off what stands around a report, layer by layer.

    Args:
        text: The answer of a model, as Markdown.
        report: Whether it is a report, which has headings; else it is a summary.
    """
    removed: list[str] = []
    layers = _LAYERS if report else _LAYERS_OF_SUMMARY
    for _ in range(MAX_LAYERS):
        before = len(removed)
        for layer in layers:
            found = layer(text)
            if found is not None and found[0].strip():
                text = found[0]
                removed.append(found[1])
        if len(removed) == before:
            break
    return Unwrapped(text, tuple(removed))


Layer = Callable[[str], tuple[str, str] | None]
"""Takes one layer off: the text within, and what was removed; None: there is no such layer."""


def _reasoning(text: str) -> tuple[str, str] | None:
    found = _REASONING.match(text) if text.lstrip()[:1] in ("<", "[", "\u25c1") else None
    if found:
        return text[found.end() :], "reasoning"
    if "</think" not in text and "/THINK]" not in text and "\u25c1/think" not in text:
        return None
    end = _REASONING_END.search(text)
    if end is None or re.search(r"^ {0,3}(?:#|`{3}|~{3})", text[: end.start()], re.MULTILINE):
        return None
    return text[end.end() :], "reasoning"


def _tags(text: str) -> tuple[str, str] | None:
    if text.lstrip()[:1] != "<":
        return None
    for around in _AROUND:
        found = around.fullmatch(text)
        if found and f"</{found[1]}>" not in found[2]:
            return found[2], "tags around the whole"
    return None


def _front_matter(text: str) -> tuple[str, str] | None:
    if text.lstrip()[:3] not in ("---", "+++", "```"):
        return None
    found = _FRONT.match(text)
    if found is None:
        return None
    keys: dict[str, str] = {}
    for line in found[2].splitlines():
        if line[:1] in (" ", "\t", "-", "#"):
            continue
        key = _KEY.match(line.rstrip())
        if key is None:
            return None
        keys[key["key"].lower()] = (key["value"] or "").strip().strip("\"'")
    if not keys.keys() & _KNOWN:
        return None
    rest = text[found.end() :].lstrip("\n")
    title = keys.get("title", "")
    if title and not re.search(r"^ {0,3}#[ \t]|^[^\n]+\n=+[ \t]*$", rest, re.MULTILINE):
        rest = f"# {title}\n\n{rest}"
    return rest, "front matter"


def _fence(text: str) -> tuple[str, str] | None:
    """A fence around all, perhaps with a paragraph before it and one after it."""
    if "```" not in text and "~~~" not in text:
        return None
    lines = text.strip("\n").split("\n")
    first = next((n for n, line in enumerate(lines) if FENCE.match(line)), 0)
    opened = _FENCE.match(lines[first])
    if opened is None:
        return None
    run, language = opened[1], opened[2].lower()
    closers = [n for n in range(len(lines) - 1, first, -1) if lines[n].strip() == run]
    if not closers or language not in _OF_TEXT | _OF_ANYTHING:
        return None
    last = closers[0]
    inner, before, after = lines[first + 1 : last], lines[:first], lines[last + 1 :]
    if not balanced(inner) or not _aside(before) or not _aside(after):
        return None
    words = len(" ".join(inner).split())
    headed = any(_HEADING.match(line) for line in inner)
    plain = [line for line in inner if line.strip() and not _NO_PROSE.match(line)]
    if language in _OF_ANYTHING and not (headed and plain):
        return None
    if (any(map(str.strip, [*before, *after]))) and not (headed and words > 20):
        return None
    kept = ["\n".join(part).strip("\n") for part in (before, inner, after)]
    return "\n\n".join(part for part in kept if part.strip()), "a code fence around the whole"


def _aside(lines: list[str]) -> bool:
    """Whether lines are no more than one paragraph of prose, perhaps with a rule."""
    filled = [line for line in lines if line.strip() and not _RULE.match(line)]
    text = " ".join(filled)
    return len(text) <= MAX_LINE and not any(map(_NO_PROSE.match, filled))


def _preamble(text: str) -> tuple[str, str] | None:
    """A paragraph that announces the report, before its first heading."""
    head, _, rest = text.lstrip("\n").partition("\n\n")
    if not rest and "\n" in head:
        head, _, rest = head.partition("\n")
    elif "\n" in head.strip():
        first, _, more = head.strip().partition("\n")
        if not _HEADING.match(more):
            return None
        head, rest = first, f"{more}\n\n{rest}"
    if _NO_PROSE.match(head):
        return None
    line = _bare(head)
    if len(line) > MAX_LINE or not (announces(line) or agrees(line)):
        return None
    lines = [one for one in rest.split("\n") if one.strip()][:3]
    if lines and _RULE.match(lines[0]):
        lines = lines[1:]
        rest = rest.lstrip("\n").partition("\n")[2]
    if not lines or not _begins_report(lines):
        return None
    return rest.lstrip("\n"), f"the line “{line[:80]}”"


def _begins_report(lines: list[str]) -> bool:
    fenced = _FENCE.match(lines[0]) is not None
    underlined = len(lines) > 1 and _UNDERLINE.match(lines[1]) is not None
    return bool(_HEADING.match(lines[0])) or fenced or underlined or announces(_bare(lines[0]))


def _announced_summary(text: str) -> tuple[str, str] | None:
    """A line that announces a summary, or its name as a heading."""
    first, _, rest = text.strip("\n").partition("\n")
    line = _bare(re.sub(r"^ {0,3}#{1,6}[ \t]+", "", first))
    named = names_summary(line)
    announced = announces(line) and line.rstrip().endswith((":", "\uff1a"))
    if len(line) > MAX_LINE or not (named or announced or agrees(line)):
        return None
    rest = re.sub(r"\A(?:[ \t]*(?:-{3,}|={3,})?[ \t]*\n)*", "", rest)
    return rest, f"the line “{line[:80]}”"


def _offer(text: str) -> tuple[str, str] | None:
    """An offer of more at the end, in a paragraph of its own."""
    body = text.rstrip()
    begin = max(body.rfind("\n\n"), body.rfind("\n---\n"), body.rfind("\n \n"))
    if begin < 0:
        return None
    last, before = body[begin:].strip().removeprefix("---\n").strip(), body[:begin].rstrip()
    if "[^" in last or _NO_PROSE.match(last):
        return None
    line = _bare(last.replace("\n", " "))
    if not line or len(line) > MAX_LINE or not offers(line) or before.count("```") % 2:
        return None
    lines = before.split("\n")
    while lines and (not lines[-1].strip() or _RULE.match(lines[-1])):
        lines.pop()
    if not lines or re.match(r" {0,3}#{1,6}[ \t]", lines[-1]):
        return None  # the only words of a section
    return "\n".join(lines) + "\n", f"the line “{line[:80]}”"


def _bare(line: str) -> str:
    return " ".join(_MARKS.sub("", line).split())


_LAYERS: tuple[Layer, ...] = (_reasoning, _tags, _preamble, _fence, _front_matter, _offer)
_LAYERS_OF_SUMMARY: tuple[Layer, ...] = (
    *(_reasoning, _tags, _fence, _front_matter, _announced_summary, _offer),
)
