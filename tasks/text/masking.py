"""A secret hidden in the text of others, in every encoding that they may repeat it in.

Here: bytes, before anything reads them. Not here: texts that only look like secrets (`foreign`).
"""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

from prefect_llm_reports.tasks.text.foreign import HIDDEN


class Mask:
    """Hides one secret: plain, in base64, in hexadecimal, and escaped for URLs, JSON or HTML.

    Args:
        secret: The secret; a short one may hide ordinary words.
    """

    def __init__(self, secret: str) -> None:
        plain = secret.encode()
        forms = {
            plain,
            quote(secret, safe="").encode(),
            quote_plus(secret).encode(),
            json.dumps(secret)[1:-1].encode(),
            json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
            html.escape(secret).encode(),
            plain.hex().encode(),
            plain.hex().upper().encode(),
            base64.b32encode(plain).rstrip(b"="),
            *_in_base64(plain),
        }
        self._forms = sorted(forms, key=len, reverse=True)
        self._begins = _escapes(plain[0])
        self._spelled = re.compile(b"".join(_spelled(byte) for byte in plain))

    def over(self, said: bytes) -> bytes:
        """The bytes with the secret hidden.

        Args:
            said: The bytes that the other side sent.
        """
        for form in self._forms:
            said = said.replace(form, HIDDEN.encode())
        if any(sign in said for sign in self._begins):  # rare, and the pattern is slow
            said = self._spelled.sub(HIDDEN.encode(), said)
        return said


def _in_base64(plain: bytes) -> list[bytes]:
    """The characters that a secret has in base64, for each offset at which it may begin."""
    found: list[bytes] = []
    for before, unsure in enumerate((0, 2, 3)):
        whole = base64.b64encode(b"\0" * before + plain)
        sure = whole[unsure : (before + len(plain)) * 8 // 6]
        found += [sure, sure.translate(bytes.maketrans(b"+/", b"-_"))]
    return found


def _escapes(byte: int) -> list[bytes]:
    """One byte as an escape of URLs, JSON, Python or HTML."""
    digits = {f"{byte:02x}", f"{byte:02X}"}
    signs = [f"&#{byte};"]
    for digit in digits:
        signs += [f"%{digit}", f"\\u00{digit}", f"\\x{digit}", f"&#x{digit};"]
    return [sign.encode() for sign in signs]


def _spelled(byte: int) -> bytes:
    return b"(?:" + b"|".join(map(re.escape, [bytes([byte]), *_escapes(byte)])) + b")"
