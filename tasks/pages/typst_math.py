"""Formulas for report.pdf: the tree of MathML as values that the template reads.

Here: values only; nothing of a report becomes code. Not here: the template (`templates/pdf`),
formulas of Word (`pages.omml`), TeX (`text.mathml`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from prefect_llm_reports.tasks.pages.math_shapes import ACCENTS, PRIME, fenced_until
from prefect_llm_reports.tasks.text.mathml import Math

_OVER = {"‾": "overline", "―": "overline", "_": "underline", "\u0332": "underline",
         "⏞": "overbrace", "⏟": "underbrace"}  # fmt: skip


def typst_of(tree: Math) -> dict[str, Any]:
    """The values of a formula.

    Args:
        tree: The formula; its root or a part of it.
    """
    parts = tree.parts
    match tree.tag:
        case "mi":
            return _letter(tree)
        case "mo":
            return _operator(tree)
        case "mn" | "mtext":
            return _node("text" if tree.text else "row", text=tree.text)
        case "mspace":
            return _node("space", width=float(tree.attributes["width"].removesuffix("em")))
        case "mfrac":
            bare = tree.attributes.get("linethickness") == "0"
            return _node("stack" if bare else "fraction", *map(typst_of, parts))
        case "msqrt":
            return _node("sqrt", _row(parts))
        case "mroot":
            return _node("root", *map(typst_of, parts))
        case "msub" | "msup" | "msubsup":
            return _scripts("scripts", tree)
        case "munder" | "mover" | "munderover":
            return _over(tree)
        case "mtable":
            return _table(tree)
        case "mphantom":
            return _node("hidden", _row(parts))
        case "mstyle":
            return _styled(tree)
        case "mrow" if kind := tree.attributes.get("class"):
            return _node(kind, _row(parts))
        case _:
            return _row(parts)


def _node(kind: str, *parts: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"kind": kind, "parts": list(parts), **values}


def _row(parts: Sequence[Math]) -> dict[str, Any]:
    """Neighbours, of which brackets around a table or marked as such grow with what they hold."""
    made: list[dict[str, Any]] = []
    at = 0
    while at < len(parts):
        end = fenced_until(parts, at)
        if end:
            inner = [typst_of(part) for part in parts[at:end]]
            made.append(_node("fenced", *inner))
            at = end
        else:
            made.append(typst_of(parts[at]))
            at += 1
    return made[0] if len(made) == 1 else _node("row", *made)


def _letter(tree: Math) -> dict[str, Any]:
    text = tree.text
    if not text:
        return _node("row")
    if tree.attributes.get("mathvariant") == "normal":
        return _node("operator" if len(text) > 1 else "upright", text=text)
    if set(text) == {PRIME}:
        return _node("text", text=text)
    return _sign(text) if _is_sign(text) else _node("operator", text=text)


def _operator(tree: Math) -> dict[str, Any]:
    text = tree.text
    if not text:
        return _node("row")
    if _is_sign(text):
        return _sign("\u2212" if text == "-" else text)
    return _node("operator" if text[0].isalpha() else "text", text=text)


def _sign(text: str) -> dict[str, Any]:
    return _node("sign", text=text)


def _is_sign(text: str) -> bool:
    """Whether a text is one sign to Typst, with the marks that combine with it."""
    return not unicodedata.combining(text[0]) and all(map(unicodedata.combining, text[1:]))


def _scripts(kind: str, tree: Math) -> dict[str, Any]:
    parts = tree.parts
    empty = _node("row")
    below = typst_of(parts[1]) if "sub" in tree.tag or "under" in tree.tag else None
    above = typst_of(parts[-1]) if "sup" in tree.tag or "over" in tree.tag else None
    primes = len(parts[-1].text) if set(parts[-1].text) == {PRIME} else 0
    made = _node(kind, typst_of(parts[0]), below or empty, above or empty)
    return {**made, "below": below is not None, "above": above is not None, "primes": primes}


def _over(tree: Math) -> dict[str, Any]:
    base, sign = tree.parts[0], tree.parts[-1].text
    if tree.tag != "munderover":
        if sign in _OVER and tree.parts[-1].tag == "mo":
            return _node(_OVER[sign], typst_of(base))
        if sign in ACCENTS and tree.tag == "mover" and tree.parts[-1].tag == "mo":
            return _node("accent", typst_of(base), text=ACCENTS[sign])
        braced = base.parts[-1].text if base.tag in ("munder", "mover") else ""
        if _OVER.get(braced, "").endswith("brace"):
            return _node(_OVER[braced], typst_of(base.parts[0]), typst_of(tree.parts[1]))
    made = _scripts("limits", tree)
    arrow = _only_leaf(base)
    if "←" <= arrow <= "⇿":
        made["parts"][0] = _node("arrow", text=arrow)
    return made


def _only_leaf(tree: Math) -> str:
    while len(tree.parts) == 1:
        tree = tree.parts[0]
    return tree.text if not tree.parts and len(tree.text) == 1 else ""


def _table(tree: Math) -> dict[str, Any]:
    sides = {cell.attributes.get("class", "") for row in tree.parts for cell in row.parts}
    kind = "aligned" if sides == {"left", "right"} else "table"
    rows = [_node("row", *(_row(cell.parts) for cell in row.parts)) for row in tree.parts]
    widest = max((len(row["parts"]) for row in rows), default=0)
    for row in rows:
        row["parts"] += [_node("row") for _ in range(widest - len(row["parts"]))]
    return _node(kind, *rows, text="left" if sides == {"left"} else "")


def _styled(tree: Math) -> dict[str, Any]:
    inner = _row(tree.parts)
    if "displaystyle" in tree.attributes:
        shown = tree.attributes["displaystyle"] == "true"
        return _node("display" if shown else "inline", inner)
    return _node("small", inner) if tree.attributes.get("scriptlevel", "0") != "0" else inner
