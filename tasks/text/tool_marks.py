"""Marks that the tools of a model leave in its text: citation tokens that lead nowhere.

A chat service replaces them by links; in a text that comes over an interface they mean nothing.
Here: taking them off. Not here: which parts of Markdown are code and stay (`text.rewriting`).
"""

from __future__ import annotations

import re

_KINDS = (
    r"search|view|fetch|news|image|images|video|file|msearch|mclick|click|open|find|product|"
    r"products|business|forecast|finance|sports|time|maps|map|local|reddit|academia|calculator|"
    r"entity|ref|source|sources|browse|weather|stock"
)
_PLACE = rf"(?:turn\d{{1,4}}(?:{_KINDS})\d{{1,4}})"
_MARK = re.compile(
    r"[ \t]{0,4}(?:"
    # Between private characters: ChatGPT's own form, with all that it holds.
    r"\ue200[^\ue200\ue201\n]{0,400}\ue201"
    r"|[\ue200-\ue206]"
    r"|\\ue20[0-6]"
    # 【4†source】, 【4:0†file.pdf】, 【turn0search3】
    r"|\u3010[^\u3010\u3011\n]{0,200}[\u2020\u2021][^\u3010\u3011\n]{0,200}\u3011"
    rf"|\u3010{_PLACE}(?:[ ,;]*{_PLACE})*\u3011"
    # [4†source]; a link is not a mark
    r"|\[\d{1,4}(?::\d{1,4})?\u2020[^\[\]\n]{1,80}\](?!\()"
    # citeturn0search3turn1view0, turn0search3
    rf"|(?:(?:file)?cite|navlist)?{_PLACE}"
    rf"(?:[, \ue202]*{_PLACE})*(?:L\d+(?:-L?\d+)?)?(?![^\W_])"
    # :contentReference[oaicite:0]{index=0}, [oaicite:3]
    r"|:contentReference\[oaicite:\d{1,4}\]\{index=\d{1,4}\}"
    r"|:contentReference\[oaicite:\d{1,4}\]"
    r"|\[oaicite:\d{1,4}\](?:\{index=\d{1,4}\})?(?!\()"
    # [cite_start] … [cite: 1, 2], [citation:3], [web:1], [attached_file:2], [cite_end]
    r"|\[cite_(?:start|end)\](?!\()"
    r"|\[(?:cite|citation|web|attached_file|memory):\s*\d{1,4}(?:\s*[-,\u2013]\s*(?:(?:cite|citation|"
    r"web|attached_file|memory):\s*)?\d{1,4})*\](?![(:\[])"
    r"|\[\^\d{1,4}\^\](?!\()"
    r")"
)
_LABEL = re.compile(r"oai_citation(?::\d{1,4})?\s*[\u2020\u2021]")
"""Stands before the name of a source that is a link; the link stays."""
_SIGNS = ("oaicite", "[cit", "[web", "[att", "[mem", "ue20")
_LETTERS = "\u2020\u2021\ue200\ue201\ue202\ue203\ue204\ue205\ue206"
_TURN = re.compile(r"turn\d")
_NOTE = re.compile(r"\[\^\d{1,4}\^")


def has_marks(text: str) -> bool:
    """Whether a text may hold a citation token.

    Args:
        text: Any text.
    """
    return (
        ("turn" in text and _TURN.search(text) is not None)
        or ("[^" in text and _NOTE.search(text) is not None)
        or any(sign in text for sign in _SIGNS)
        or (not text.isascii() and any(letter in text for letter in _LETTERS))
    )


def without_marks(text: str) -> str:
    """Take citation tokens of tools off a text that holds no code, with the space before each.

    Args:
        text: Words of a report.
    """
    if not has_marks(text):
        return text
    return _MARK.sub("", _LABEL.sub("", text))
