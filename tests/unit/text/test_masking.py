"""A secret is hidden in every encoding in which others may repeat it."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest

from prefect_llm_reports.tasks.text.masking import Mask
from tests.harness.pace import within

KEY = "sk-proj-ABC+def/ghi=0123456789"
PLAIN = KEY.encode()
ENCODED = {
    "plain": PLAIN,
    "base64": base64.b64encode(PLAIN),
    "base64 after one byte": base64.b64encode(b":" + PLAIN),
    "base64 of Basic": base64.b64encode(b"user:" + PLAIN),
    "base64 of Bearer, for URLs": base64.urlsafe_b64encode(b"Bearer " + PLAIN + b"\n"),
    "base32": base64.b32encode(PLAIN),
    "hex": PLAIN.hex().encode(),
    "HEX": PLAIN.hex().upper().encode(),
    "in a URL": quote(KEY, safe="").encode(),
    "each byte for URLs": b"".join(b"%%%02x" % byte for byte in PLAIN),
    "each byte for JSON": b"".join(b"\\u%04x" % byte for byte in PLAIN),
    "each byte for HTML": b"".join(b"&#%d;" % byte for byte in PLAIN),
    "HTML in hex": b"".join(b"&#x%x;" % byte for byte in PLAIN),
    "Python": b"".join(b"\\x%02x" % byte for byte in PLAIN),
    "in JSON": json.dumps(f'{KEY}"').encode(),
    "in HTML": html.escape(f"<{KEY}>").encode(),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_secret_is_hidden_in_every_encoding(encoding: str) -> None:
    """Nothing is left from which the secret could be read, and the rest stays."""
    said = Mask(KEY).over(b"your key <" + ENCODED[encoding] + b"> is bad")
    assert b"[key]" in said
    assert said.startswith(b"your key <")
    assert said.endswith(b"> is bad")
    assert len(said) < len("your key <[key]> is bad") + 14
    assert ENCODED[encoding] not in said


def test_other_texts_stay() -> None:
    """Text without the secret is returned as it is, without being copied."""
    said = b"sk-proj- is how keys begin, %73 is an s, and \\u0073 too"
    assert Mask(KEY).over(said) is said


def test_long_answers_take_little() -> None:
    """Fifty answers of 50 KB are looked through in a tenth of a second of CPU."""
    mask, body = Mask(KEY), b'{"content": "' + b"Some text of an answer. " * 2_000 + b'"}'
    with within(0.5):
        for _ in range(50):
            mask.over(body)
