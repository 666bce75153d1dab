"""Text and JSON from foreign hands."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.foreign import shown, strict_json

SECRET = "sk-proj-abcdefghijklmnop0123456789"


def test_foreign_text_is_shown_on_one_bounded_line() -> None:
    """Foreign text is shown printable, on one line, bounded and without what looks like a key."""
    assert shown("a\n\tb\x00c\u202ed") == "a b c d"
    assert len(shown("x" * 1000, 50)) == 50
    assert shown("\ud800") == ""
    for key in (SECRET, "gsk_abcdefgh12345678", "AIzaSyA1234567890", "Bearer abc.def-ghi123"):
        assert shown(f"key {key} is bad") == "key [key] is bad"
    assert shown("model gpt-5-mini, risk-averse") == "model gpt-5-mini, risk-averse"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NaN", "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e999}', "1e999"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' appears twice"),
        ('{"a": 1, "\\u0061": 2}', "'a' appears twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (b'"\xff"', "utf-8"),
        (b'"\xed\xa0\x80"', "utf-8"),
        ("{} {}", "Extra data"),
        ("9" * 5000, "digits"),
        ("", "Expecting value"),
    ],
)
def test_what_is_not_strictly_json_is_an_error(text: str | bytes, says: str) -> None:
    """NaN, infinities, duplicate keys, deep nesting and foreign bytes are errors that say so."""
    with pytest.raises(ValueError, match=says):
        strict_json(text)


def test_ordinary_json_is_read() -> None:
    """Ordinary JSON is read, from text and from UTF-8."""
    assert strict_json('{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, None, True]}
    assert strict_json('"é"'.encode()) == "é"
