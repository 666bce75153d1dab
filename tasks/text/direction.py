"""Characters that change the direction of a text, kept from what stands around them.

Here: U+202E and its like closed where their text ends, in plain text and in HTML. Not here: the
direction of a report (`text.language`).
"""

from __future__ import annotations

import re

_EMBEDS, _ISOLATES = "\u202a\u202b\u202d\u202e", "\u2066\u2067\u2068"
FIRST_STRONG = "\u2068"
_POP, _POP_ISOLATE = "\u202c", "\u2069"
_SIGNS = f"{_EMBEDS}{_ISOLATES}{_POP}{_POP_ISOLATE}"
_ANY = re.compile(f"[{_SIGNS}]")
_LINE = re.compile(r"[^\n\r\u2029]+")
_TEXT = re.compile(r"(?P<tag><[^>]*>)|(?P<text>[^<]+)")
_VALUE = re.compile(r'"[^"]*"')
_RAW = re.compile(r"<(?P<end>/?)(?P<name>script|style)\b", re.IGNORECASE)


def changes_direction(text: str) -> bool:
    """Whether a text holds a character that changes the direction of what follows it.

    Args:
        text: Any text.
    """
    return not text.isascii() and any(sign in text for sign in _SIGNS)


def balanced(text: str) -> str:
    """A text whose changes of direction all end with the line they begin in.

    Args:
        text: Plain text.
    """
    return _LINE.sub(lambda line: _closed(line[0]), text) if changes_direction(text) else text


def _closed(line: str) -> str:
    if not _ANY.search(line):
        return line
    kept: list[str] = []
    opened: list[str] = []
    for sign in line:
        if sign in _EMBEDS:
            opened.append(_POP)
        elif sign in _ISOLATES:
            opened.append(_POP_ISOLATE)
        elif sign == _POP:
            if not opened or opened[-1] != _POP:
                continue
            opened.pop()
        elif sign == _POP_ISOLATE:
            if _POP_ISOLATE not in opened:
                continue
            while opened.pop() != _POP_ISOLATE:
                kept.append(_POP)
        kept.append(sign)
    return "".join(kept) + "".join(reversed(opened))


def apart(text: str) -> str:
    """A text that changes the direction, isolated line by line; other texts stay as they are.

    Args:
        text: Plain text.
    """
    if not changes_direction(text):
        return text
    return _LINE.sub(lambda line: _isolated_line(_closed(line[0])), text)


def _isolated_line(line: str) -> str:
    done = not _ANY.search(line) or (line[0] == FIRST_STRONG and line[-1] == _POP_ISOLATE)
    return line if done else f"{FIRST_STRONG}{line}{_POP_ISOLATE}"


def isolated(html: str) -> str:
    """A page in which each text that changes the direction is kept apart from its surroundings.

    Args:
        html: A page, or a part of one.
    """
    if not changes_direction(html):
        return html
    raw = ""
    pieces: list[str] = []
    for found in _TEXT.finditer(html):
        piece = found[0]
        if found["tag"]:
            mark = _RAW.match(piece)
            name = mark["name"].lower() if mark else ""
            if mark and not raw and not mark["end"]:
                raw = name
            elif mark and raw == name:
                raw = ""
            pieces.append(_VALUE.sub(lambda value: apart(value[0][1:-1]).join('""'), piece))
        else:
            pieces.append(piece if raw in ("script", "style") else apart(piece))
    return "".join(pieces)
