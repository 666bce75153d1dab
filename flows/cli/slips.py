"""Slips of the hand on the command line, found before anything is paid for them.

Here: topics and inputs given as arguments that are meant to be files or flags; standard input. Not
here: what a valid topic is (`tasks.inputs.topics`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.files import FORMATS, MEGABYTE, Entry
from prefect_llm_reports.tasks.inputs.problems import first, short
from prefect_llm_reports.tasks.text.foreign import printable

STDIN = "stdin.txt"
"""Name of standard input in messages; it is read as a file of this ending, one text a line."""
TREES = (".yaml", ".yml", ".json")
SOURCES = (".md", ".html", ".htm", ".pdf", ".docx")
"""Endings of files that hold no topics."""
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""What word processors and web pages make of a hyphen."""


def texts_given(
    words: Sequence[str], what: str, read: Callable[[str, bytes], list[Entry]]
) -> list[Any]:
    """The texts that a command line gives, with those of standard input for `-`.

    Args:
        words: The arguments.
        what: What they are, in the plural: `topics`, which `--topics-file` also takes.
        read: Reads a file of such texts.

    Raises:
        BadInput: One is a slip of the hand, or standard input cannot be read.
    """
    problems = first(
        f"{_one(what)} {short(word)!r}: {problem}"
        for word in words
        for problem in _slips(word, what)
    )
    if words.count("-") > 1:
        problems.append("-: standard input is named twice; name it once")
    if problems:
        raise BadInput(*problems)
    found: list[Any] = []
    for word in words:
        found += [entry.value for entry in read(STDIN, _stdin(what))] if word == "-" else [word]
    return found


def _one(what: str) -> str:
    return {"queries": "query"}.get(what, what[:-1])


def _slips(word: str, what: str) -> Iterator[str]:
    """What is wrong with a text given as an argument; none in nearly all cases."""
    if word == "-":
        return
    flag = f"--{what}-file"
    lone = len(word.split()) == 1
    if _exists(word):
        kind = "a folder" if os.path.isdir(word) else "a file"
        yield (
            f"this is {kind} that exists; give {_with_flags(word, what)}, or write the text in"
            " other words"
        )
    elif lone and word.lower().startswith(("s3://", "gs://", "az://", "file://")):
        yield f"this reads like an address of a file; give it with {flag}"
    elif lone and PurePath(word).suffix.lower() in FORMATS:
        yield (
            f"this reads like the name of a file, and there is none; correct the name and give it"
            f" with {flag}, or write the text in more words"
        )
    elif word[:1] in _DASHES and word.lstrip(_DASHES)[:1].isalpha():
        flag = "--" + word.lstrip(_DASHES).split()[0]
        yield f"it begins with a dash that is no hyphen; for the option type {flag}"


def _with_flags(word: str, what: str) -> str:
    """What a file or folder may be, with the flag of each."""
    ending = PurePath(word).suffix.lower()
    if what == "topics" and (os.path.isdir(word) or ending in SOURCES):
        return "a source of the reports with --source"
    others = ["options with --options"] if ending in TREES else []
    if what == "queries" and ending in TREES:
        others.insert(0, "branches with --branches-file")
    return ", one of ".join([f"a file of {what} with --{what}-file", *others])


def _exists(word: str) -> bool:
    try:
        return os.path.exists(word)
    except (OSError, ValueError):
        return False


def _stdin(what: str) -> bytes:
    stream = sys.stdin
    if stream is None:  # pyright: ignore[reportUnnecessaryComparison] - started without stdin
        raise BadInput(f"-: standard input is closed; give {what} as arguments or in a file")
    if stream.isatty():
        sys.stderr.write(f"Reading {what} from the terminal, one a line; end with Ctrl-D.\n")
    most = FORMATS[".txt"].megabytes * MEGABYTE
    try:
        found = stream.buffer.read(most + 1)
    except OSError as error:
        raise BadInput(
            printable(f"-: standard input cannot be read ({error.strerror}); give {what} in a file")
        ) from None
    if not found.strip():
        raise BadInput(f"-: standard input holds no {what}; write one a line")
    return found
