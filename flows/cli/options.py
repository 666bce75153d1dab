"""The options of a run, as a command line gives them: by a file, by `--set`, by flags of their own.

Not here: the options and their values (`contract.options`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, cast

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.files import TREES, read_file, read_tree
from prefect_llm_reports.tasks.inputs.problems import seen, short
from prefect_llm_reports.tasks.inputs.trees import value_of
from prefect_llm_reports.tasks.text.foreign import strict_json

FLAGS = {
    "concurrency": "concurrency",
    "rpm": "requests_per_minute",
    "tpm": "tokens_per_minute",
    "budget": "budget_usd",
    "price": "price",
    "deadline": "deadline_s",
    "patience": "patience_s",
    "max_output_tokens": "max_output_tokens",
    "temperature": "temperature",
    "reasoning_effort": "reasoning_effort",
    "refresh": "refresh",
    "quote": "quote",
    "trace": "trace",
    "experiment": "experiment",
    "topic_column": "topic_column",
    "guidance_column": "guidance_column",
    "language": "language",
    "audience": "audience",
    "words": "length_words",
    "style": "house_style",
    "formats": "formats",
    "sources": "sources",
}
"""The option that each flag sets."""


def options_of(chosen: argparse.Namespace, problems: list[str]) -> dict[str, Any]:
    """The options that a command line gives; flags replace those of the file.

    Args:
        chosen: The parsed command line.
        problems: Receives a sentence for each problem.
    """
    flags = {
        option: value
        for flag, option in FLAGS.items()
        if (value := getattr(chosen, flag, None)) is not None
    }
    try:
        given = _set(chosen.set or ())
    except BadInput as bad:
        problems += bad.problems
        given = {}
    problems += [
        f"option {name}: given by --set and by a flag of its own; keep one of them"
        for name in given.keys() & flags.keys()
    ]
    return {**_of_file(chosen.options, problems), **given, **flags}


def _of_file(name: str | None, problems: list[str]) -> dict[str, Any]:
    try:
        file = read_file(name, "options", TREES)
        found: Any = value_of(file[0], read_tree(*file)) if file else {}
    except BadInput as bad:
        problems += bad.problems
        return {}
    if not isinstance(found, dict) and found not in (None, ""):
        problems.append(
            f"{name}: wanted an object of options, found {seen(found)}; write one NAME: VALUE a"
            " line"
        )
        return {}
    return cast("dict[str, Any]", found or {})


def _set(pairs: Sequence[str]) -> dict[str, Any]:
    """The options of `--set KEY=VALUE` and `--set KEY.NAME=VALUE`.

    Raises:
        BadInput: With each that cannot be read.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    for pair in pairs:
        key, equals, written = pair.partition("=")
        name, dot, part = key.strip().partition(".")
        known = found.get(name)
        if not (equals and name and (part or not dot)):
            problems.append(
                f"--set {short(pair)}: wanted KEY=VALUE, or KEY.NAME=VALUE for a part of an option"
            )
        elif (known is not None and not (dot and isinstance(known, dict))) or (
            dot and part in (known or {})
        ):
            problems.append(f"--set {key.strip()}: given twice; keep one of them")
        elif dot:
            found.setdefault(name, {})[part] = _value(written, "")
        else:
            found[name] = _value(written, "[{")
    if problems:
        raise BadInput(*problems)
    return found


def _value(written: str, begin: str) -> Any:
    """A value in JSON, else the text as it is written.

    Args:
        written: The text after the equals sign.
        begin: Characters that JSON may begin with here; empty: any. Options convert texts
            themselves.
    """
    text = written.strip()
    if begin and text[:1] not in tuple(begin):
        return written
    try:
        return strict_json(text)
    except ValueError:
        return written
