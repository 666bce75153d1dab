"""Reasoning that a model writes into its answer, and the answer without it.

Here: the marks by which models and servers set reasoning apart. Not here: reasoning in fields of
its own (`llm.replies`).
"""

from __future__ import annotations

import re

_NAMES = r"think|thinking|thought|thoughts|reasoning|reason|reflection|scratchpad|seed:think"
_PAIRS = [
    (rf"<({_NAMES})(?:\s[^<>]*)?>", r"</{0}\s*>"),
    (r"\[(THINK|THINKING|REASONING)\]", r"\[/{0}\]"),
    (
        r"<\|(begin_of_thought|thinking|think|reasoning)\|>",
        r"<\|(?:end_of_thought|/?{0}(?:_end)?)\|>",
    ),
    (r"◁(think)▷", r"◁/{0}▷"),
    (r"<\|START_(THINKING)\|>", r"<\|END_{0}\|>"),
    (r"Here(?: is|'s) my (thought process):\s*\n?", r"Here(?: is|'s) my response:"),
]
"""Marks at the beginning and the end of reasoning; the name in the first decides the second."""
_OPENING = [(re.compile(begin, re.IGNORECASE), end) for begin, end in _PAIRS]
_CLOSING = re.compile(
    rf"</(?:{_NAMES})\s*>|\[/(?:THINK|THINKING|REASONING)\]|◁/think▷"
    r"|<\|end_of_thought\|>|<\|END_THINKING\|>",
    re.IGNORECASE,
)
_FINAL = re.compile(r"<\|channel\|>\s*final\s*(?:<\|[^|]*\|>[^<]*)*?<\|message\|>", re.IGNORECASE)
_CHANNEL = re.compile(r"\s*(?:<\|start\|>\s*assistant\s*)?<\|channel\|>", re.IGNORECASE)
_MARKS = re.compile(
    r"^\s*<\|(?:begin_of_solution|START_RESPONSE|START_TEXT)\|>"
    r"|(?:<\|(?:end_of_solution|END_RESPONSE|END_TEXT|return|end|im_end|eot_id|endoftext)\|>"
    r"|</s>|<eos>|<end_of_turn>)\s*$"
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)


def without_reasoning(text: str) -> str:
    """The answer that follows the reasoning; empty when the reasoning never ends.

    Only reasoning at the beginning of a text is taken off: a block, several in a row, or a text
    that ends its reasoning without having begun it, as servers leave it that put the beginning into
    the prompt. A report that writes about such marks keeps them.
    """
    if _CHANNEL.match(text):
        answers = [found.end() for found in _FINAL.finditer(text)]
        return _MARKS.sub("", text[answers[-1] :]) if answers else ""
    cut = False
    while (opened := _opened(text)) is not None:
        at, begin, end = opened
        closed = _end_of(text, at, begin, end)
        if closed is None:
            return ""
        text, cut = text[closed:], True
    if not cut and (closed := _closed(text)) is not None:
        text = text[closed:]
    return _MARKS.sub("", text)


def _opened(text: str) -> tuple[int, re.Pattern[str], str] | None:
    """The place after the mark that begins reasoning, and the patterns of its marks."""
    first = len(text) - len(text.lstrip())
    for begin, end in _OPENING:
        if found := begin.match(text, first):
            return found.end(), begin, end.format(re.escape(found[1]))
    return None


def _end_of(text: str, at: int, begin: re.Pattern[str], end: str) -> int | None:
    """The end of reasoning that began before `at`; a block within it ends before it does."""
    ends = [(found.end(), -1) for found in re.compile(end, re.IGNORECASE).finditer(text, at)]
    depth = 1
    for stop, change in sorted(ends + [(found.end(), 1) for found in begin.finditer(text, at)]):
        depth += change
        if depth == 0:
            return stop
    return ends[0][0] if ends else None


def _closed(text: str) -> int | None:
    """The end of reasoning that began in the prompt; None: there is none."""
    found = _CLOSING.search(text)
    if found is None:
        return None
    code = any(m.start() <= found.start() < m.end() for m in _CODE.finditer(text))
    before = text[: found.start()]
    named = re.search(rf"<(?:{_NAMES})|\[THINK|◁think", before, re.IGNORECASE)
    return None if code or named or before.lstrip().startswith("#") else found.end()
