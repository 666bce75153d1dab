"""Text and JSON from foreign hands."""

from __future__ import annotations

import json

import pytest

from prefect_llm_reports.tasks.text.foreign import (
    printable,
    printable_json,
    shown,
    strict_json,
    without_secrets,
)

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
    "address",
    [
        "http://user:geheim@proxy.example:3128",
        "https://geheim@host.example/v1",
        "https://host.example/v1?api-key=geheim&api-version=3",
        "https://host.example/v1?api-version=3&subscription_key=geheim",
        "https://blob.example/x?sv=3&sig=geheim",
        "https://host.example/v1?access_token=geheim",
    ],
)
def test_addresses_are_shown_without_their_secrets(address: str) -> None:
    """An error text of a library, a proxy or a server may name the address that it was given."""
    for said in (shown(f"cannot reach {address} now"), without_secrets(f"cannot reach {address}")):
        assert "geheim" not in said
        assert "example" in said
        assert ("api-version=3" in address) == ("api-version=3" in said)


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


def test_signs_that_terminals_obey_become_text() -> None:
    """Escape sequences and marks of direction are printed as text; JSON stays the same document."""
    bad = "a\x1b[2Jb\x07\x9b1m\u202ec\x00\ud800"
    assert printable(bad) == "a\\x1b[2Jb\\x07\\x9b1m\\u202ec\\x00\\ud800"
    assert printable("Ärger, 主题, 🌊") == "Ärger, 主题, 🌊"
    document = json.dumps({"a": "x\x9b\u202e\x7fy\u2028"}, ensure_ascii=False, indent=1)
    assert json.loads(printable_json(document)) == json.loads(document)
    assert all(sign.isprintable() or sign == "\n" for sign in printable_json(document))
