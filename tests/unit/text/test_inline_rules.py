"""Rules that are tried only at their signs read every text as if all were tried everywhere."""

from __future__ import annotations

import random

import pytest
from markdown_it import MarkdownIt

from prefect_llm_reports.tasks.text.inline_rules import SIGNS, try_by_sign

PIECES = (
    *("a", "b c", " ", "  \n", "\n", "\\", "\\\n", "`", "``", "*", "**", "_", "__", "~~", "~"),
    *("[", "]", "](", "](https://x.test)", "![", "!", "<", "<br>", "<https://x.test>", ">", "&"),
    *("&amp;", "$", "#", "+", "-", ":", "=", "@", "{", "}", "%", "^", "é", "中", "\u2019"),
)


def test_texts_read_the_same_by_sign() -> None:
    """Five hundred texts of random pieces give the same tokens with and without the short way."""
    slow = MarkdownIt("commonmark").enable("strikethrough")
    quick = MarkdownIt("commonmark").enable("strikethrough")
    try_by_sign(quick)
    chance = random.Random(7)
    for _ in range(500):
        text = "".join(chance.choices(PIECES, k=chance.randint(1, 12)))
        assert quick.parseInline(text) == slow.parseInline(text), text


def test_every_rule_says_where_it_begins() -> None:
    """A rule whose signs are not known is refused, so that no text is read without it."""
    parser = MarkdownIt("commonmark")
    parser.inline.ruler.push("unknown", lambda state, silent: False)
    with pytest.raises(KeyError, match="unknown"):
        try_by_sign(parser)
    assert set(MarkdownIt("commonmark").inline.ruler.get_active_rules()) <= {*SIGNS, "text"}
