"""Rules for inline Markdown, tried only at the signs at which they may begin.

Here: the signs of each rule, and a parser that looks at nothing else. The result is the same as
when every rule is tried at every sign. Not here: the rules (`text.markdown`).
"""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

SIGNS = {
    "formula": "$\\",
    "newline": "\n",
    "escape": "\\",
    "backticks": "`",
    "strikethrough": "~",
    "emphasis": "*_",
    "link": "[",
    "image": "!",
    "footnote_ref": "[",
    "autolink": "<",
    "allowed_html": "<",
    "html_inline": "<",
    "entity": "&",
}
"""Where each rule may begin."""
_STOPS = re.compile(rf"[]{re.escape(''.join(sorted({*''.join(SIGNS.values())})))}]")


def try_by_sign(parser: MarkdownIt) -> None:
    """Let a parser try only the rules that may begin at a sign.

    Args:
        parser: A parser that has all its rules.

    Raises:
        KeyError: It has a rule whose signs are not known.
    """
    ruler = parser.inline.ruler
    rules: dict[str, list[Any]] = {}
    for name, rule in zip(ruler.get_active_rules(), ruler.getRules(""), strict=True):
        for sign in SIGNS[name] if name != "text" else "":
            rules.setdefault(sign, []).append(rule)

    def by_sign(state: StateInline, silent: bool) -> bool:
        for rule in rules.get(state.src[state.pos], ()):  # noqa: SIM110 (generators take time)
            if rule(state, silent):
                return True
        return False

    ruler.push("by_sign", by_sign)
    ruler.enableOnly(["text", "by_sign"])
    parser.inline.terminator_re = _STOPS
