"""Pydantic's complaints about a value, in the words of people who write files and forms.

Not here: which value it is and what to do about it (`inputs.problems`, `runtime.flows`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from prefect_llm_reports.tasks.text.figures import counted

_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "decimal": "a number",
    "boolean": "true or false",
    "list": "a list",
    "tuple": "a list",
    "array": "a list",
    "dictionary": "an object",
    "mapping": "an object",
    "object": "an object",
}
Wanted = Callable[[re.Match[str]], str]

_COMPLAINTS: dict[str, Wanted] = {
    r"Input should be a valid (\w+)\b.*": lambda found: _KINDS.get(found[1], f"a {found[1]}"),
    r"Input should be greater than or equal to (.+)": lambda found: f"at least {found[1]}",
    r"Input should be less than or equal to (.+)": lambda found: f"at most {found[1]}",
    r"Input should be greater than (.+)": lambda found: f"more than {found[1]}",
    r"Input should be less than (.+)": lambda found: f"less than {found[1]}",
    r"(String|List|Tuple|Dictionary) should have (at \w+) (\d+) \w+.*": lambda found: _size(found),
    r"String should match pattern '(.+)'": lambda found: f"a text of the form {found[1]}",
    r"Input should be (.+)": lambda found: found[1],
}


def _size(found: re.Match[str]) -> str:
    unit = "character" if found[1] == "String" else "item"
    return f"{found[2]} {counted(int(found[3]), unit)}"


def plainly(complaint: str) -> str:
    """Say what was wanted instead of a value: `wanted a whole number`, `wanted at most 10`.

    Args:
        complaint: Pydantic's sentence; one of another kind is left as it is.
    """
    for pattern, wanted in _COMPLAINTS.items():
        if found := re.fullmatch(pattern, complaint):
            return f"wanted {wanted(found)}"
    return complaint


def any_of(complaints: list[str]) -> str:
    """Say what was wanted instead of a value that is of none of several kinds.

    Args:
        complaints: Pydantic's sentences, one a kind.
    """
    said = dict.fromkeys(map(plainly, complaints))
    return " or ".join(said).replace(" or wanted ", " or ")
