"""Text cut into sentences, in any language.

Here: where one sentence ends and the next begins, with the marks of notes in between. Not here:
which sentences of a draft are claims (`statements`).
"""

from __future__ import annotations

import re

from prefect_llm_reports.tasks.citations.folding import spaceless

MARK = "\x02"
"""Stands for the mention of a note."""

_CLOSERS = "\"'”’»›)\\]）」』】〉》*_"
_STOP = re.compile(rf"(?P<wide>[。！？｡．؟۔।॥։፧።៕။]+)|(?P<stop>[.!?…]+)|{MARK}")
_AFTER = re.compile(rf"[{_CLOSERS}]*(?:\s*{MARK})*[{_CLOSERS}]*")
_TOKEN = re.compile(r"[^\s(\[„“\"'«‹/]*$")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]{1,3}")
_ABBREVIATIONS = frozenset(
    str.split(
        "al approx apr assn asst aug ave bd bldg bzw ca capt cca cf cie cit co corp dec dept"
        " dir dist div dott dr ed eds eg eq esp est etc evtl ext feb fr ft gen gov ggf hr hrn"
        " hrsg ie ibid inc incl inkl int intl jan jr jun jul kap lt ltd mio misc mlle mme mr"
        " mrd mrs ms msgr mt mts mwst nat nov oct okt penn ph phd prof pvt rd resp rev s sen"
        " sep sept sgt sig sog spp sr sra st sta str tel tsd u univ usw vgl vs z zzgl zb"
    )
)
_NUMBERED = frozenset(
    str.split(
        "art bd ch chap col eq fig figs fn kap kl max min no nos nr núm op pag pág par pl pp"
        " ref sec sect seite tab v vol vols z"
    )
)
"""Abbreviations before a number."""
_MONTHS = re.compile(
    r"jan|feb|mär|mar|apr|mai|may|jun|jul|aug|sep|okt|oct|nov|dez|dec|jahrhundert|quartal|auflage"
    r"|kapitel|platz|klasse|januar|ledna|února|března|dubna|května",
    re.IGNORECASE,
)


def spans_of(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences; the mentions after a sentence belong to it.

    Args:
        text: One paragraph, list item or cell, with `MARK` for each mention of a note.

    Returns:
        Start and end of each sentence, without the blanks around it.
    """
    found: list[tuple[int, int]] = []
    start = at = 0
    while stop := _STOP.search(text, at):
        at = max(stop.end(), _end(text, stop))
        end = _boundary(text, stop)
        if end is not None:
            _add(found, text, start, end)
            start = at = end
    _add(found, text, start, len(text))
    return found


def _end(text: str, stop: re.Match[str]) -> int:
    after = _AFTER.match(text, stop.end())
    return after.end() if after else stop.end()


def _boundary(text: str, stop: re.Match[str]) -> int | None:
    """Where the sentence ends that a stop may end; None: it goes on."""
    end = _end(text, stop)
    following = text[end:].lstrip()[:1]
    marked = MARK in text[stop.start() : end]
    if stop["wide"]:
        quoted = end > stop.end() and not marked and following and not text[end].isspace()
        return None if quoted else end
    if not stop["stop"]:
        before = text[: stop.start()].rstrip(_CLOSERS + " " + MARK)[-1:]
        gap = not following or text[end : end + 1].isspace()
        thai = bool(before) and spaceless(before) and before < "\u2000"
        return end if gap and thai else None
    if not following:
        return end
    if not marked and not text[end : end + 1].isspace():
        return None
    if following.islower():
        return None
    if (
        stop["stop"] == "."
        and end == stop.end()
        and _shortened(text[: stop.start()], text[end:].lstrip())
    ):
        return None
    return end


def _shortened(before: str, after: str) -> bool:
    """Whether a full stop ends an abbreviation, an initial or an ordinal, and no sentence."""
    token = _TOKEN.search(before)
    word = token[0].replace(MARK, "") if token else ""
    if word.isdigit():
        return len(word) <= 2 and _MONTHS.match(after) is not None
    if len(word) == 1 and word.isalpha() and not spaceless(word):
        return word != "I"
    word = word.casefold()
    if word in _NUMBERED and after[:1].isdigit():
        return True
    return word in _ABBREVIATIONS or _DOTTED.fullmatch(word) is not None


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    if piece.strip():
        lead = len(piece) - len(piece.lstrip())
        found.append((start + lead, start + len(piece.rstrip())))
