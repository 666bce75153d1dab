"""Queries: what a topic asks for, as terms that an index can look up.

Here: terms of words, and of signs that are written without blanks. Not here: the index (`shelf`),
how many terms of a query are looked up (`selection`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.sources.words import CJK

MOST_LINES = 30
"""Lines of guidance, and further queries, that are looked for."""
_MOST_TERMS = 60
_GRAM = 3


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FUNCTION_WORDS = _words(
    """a about an and are as at be been but by can could did do does for from had has have he her
    his how if in into is it its may more most no not of on or our she should so such than that the
    their them then there these they this to us was we were what when where which who why will with
    would you your say tell write report cover explain describe
    der die das den dem des ein eine einen einem einer und oder aber von zu zum zur im ist sind wie
    was wer wo mit auf als auch es sie wir bei nach aus nicht
    le la les un une des du et ou de au aux dans en pour par sur est sont que qui quoi avec ne pas
    el los las una unos unas y o del al con para por es son como lo se su
    il lo gli uno e di da che per non nel della dei"""
)
"""Words that say nothing about a subject; a query of nothing else is looked up with them."""
_WORD = re.compile(rf"[^\W_{CJK}]+")
_SIGNS = re.compile(f"[{CJK}]+")


class Query(NamedTuple):
    """The terms of one query.

    Attributes:
        words: Words, each once, in small letters.
        grams: Three signs each, of scripts without blanks; and words, which an index of three
            characters finds, too.
        short: Texts of one or two such signs, which stand alone.
    """

    words: tuple[str, ...]
    grams: tuple[str, ...]
    short: tuple[str, ...]


def queries_of(topic: Topic, extra: Sequence[str] = ()) -> list[Query]:
    """The queries of a topic: its title, each line of its guidance, and further ones.

    Args:
        topic: The topic.
        extra: Further things to look for.
    """
    lines = [line for line in topic.guidance.splitlines() if line.strip()]
    texts = [topic.title, *lines[:MOST_LINES], *extra[:MOST_LINES]]
    return [query for text in dict.fromkeys(texts) if any(query := query_of(text))]


def query_of(text: str) -> Query:
    """The terms of a text.

    Args:
        text: A title, a line of guidance, or a heading.
    """
    small = text.casefold()
    words = [word for word in _WORD.findall(small) if len(word) > 1 or word.isdigit()]
    words = [word for word in words if word not in _FUNCTION_WORDS] or words
    grams: list[str] = []
    short: list[str] = []
    for run in _SIGNS.findall(small):
        if len(run) < _GRAM:
            short.append(run)
        grams += [run[at : at + _GRAM] for at in range(len(run) - _GRAM + 1)]
    grams += [word for word in words if len(word) >= _GRAM]
    return Query(_first(words), _first(grams), _first(short))


def _first(terms: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms))[:_MOST_TERMS]
