"""Pydantic's complaints about a value, in the words of people who write files and forms.

Not here: which value it is and what to do about it (`inputs.problems`, `runtime.flows`).
"""

from __future__ import annotations

import re

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
_COMPLAINTS = [
    (re.compile(r"Input should be a valid (\w+)\b.*"), lambda m: _KINDS.get(m[1], f"a {m[1]}")),
    (re.compile(r"Input should be greater than or equal to (.+)"), lambda m: f"at least {m[1]}"),
    (re.compile(r"Input should be less than or equal to (.+)"), lambda m: f"at most {m[1]}"),
    (re.compile(r"Input should be greater than (.+)"), lambda m: f"more than {m[1]}"),
    (re.compile(r"Input should be less than (.+)"), lambda m: f"less than {m[1]}"),
    (
        re.compile(r"(String|List|Tuple|Dictionary) should have (at \w+) (\d+) \w+.*"),
        lambda m: f"{m[2]} {counted(int(m[3]), 'character' if m[1] == 'String' else 'item')}",
    ),
    (re.compile(r"String should match pattern '(.+)'"), lambda m: f"a text of the form {m[1]}"),
    (re.compile(r"Input should be (.+)"), lambda m: m[1]),
]


def plainly(complaint: str) -> str:
    """Say what was wanted instead of a value: `wanted a whole number`, `wanted at most 10`.

    Args:
        complaint: Pydantic's sentence; one of another kind is left as it is.
    """
    for pattern, wanted in _COMPLAINTS:
        if found := pattern.fullmatch(complaint):
            return f"wanted {wanted(found)}"
    return complaint


def any_of(complaints: list[str]) -> str:
    """Say what was wanted instead of a value that is of none of several kinds.

    Args:
        complaints: Pydantic's sentences, one a kind.
    """
    said = dict.fromkeys(map(plainly, complaints))
    return " or ".join(said).replace(" or wanted ", " or ")
