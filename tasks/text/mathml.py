"""TeX turned into MathML: a small tree of known elements, and that tree as HTML.

Here: the only importer of latex2mathml, bounded in time and size; the tree holds text and a few
attributes, and no address, colour or style. Not here: formulas found in Markdown
(`text.mathematics`), the sanitizer (`text.html`), other formats (`pages.typst_math`, `pages.omml`).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from prefect_llm_reports.tasks.text.math_letters import styled

MAX_NODES, MAX_DEPTH, MAX_SIGNS = 4_000, 60, 5_000

ATTRIBUTES: dict[str, frozenset[str]] = {
    "math": frozenset({"display", "alttext"}),
    "mi": frozenset({"mathvariant"}),
    "mo": frozenset({"stretchy", "fence", "form", "accent", "movablelimits", "minsize", "maxsize"}),
    "mspace": frozenset({"width"}),
    "mfrac": frozenset({"linethickness"}),
    "mover": frozenset({"accent"}),
    "munder": frozenset({"accentunder"}),
    "munderover": frozenset({"accent", "accentunder"}),
    "mstyle": frozenset({"displaystyle", "scriptlevel"}),
    "mtd": frozenset({"class"}),
    "mrow": frozenset({"class"}),
    **dict.fromkeys(
        ("mn", "mtext", "msqrt", "mroot", "msub", "msup", "msubsup", "mtable", "mtr", "mphantom"),
        frozenset[str](),
    ),
}
"""The elements of a formula, each with its attributes."""
LEAVES = frozenset({"mi", "mn", "mo", "mtext"})

_ARITY = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2,
          "munderover": 3}  # fmt: skip
_VALUES = {
    "display": re.compile("block|inline"),
    "mathvariant": re.compile("normal"),
    "form": re.compile("prefix|infix|postfix"),
    "width": re.compile(r"-?0?\.\d{1,4}em|[0-4](?:\.\d{1,4})?em"),
    "minsize": re.compile(r"[0-4](?:\.\d{1,4})?em"),
    "maxsize": re.compile(r"[0-4](?:\.\d{1,4})?em"),
    "linethickness": re.compile("0"),
    "class": re.compile("left|right|boxed|struck"),
    "scriptlevel": re.compile("[0-3]"),
}
_BOOLEAN = re.compile("true|false")
_DEFINES = re.compile(
    r"\\(?:(?:re|provide)?newcommand|[egx]?def|let|DeclareMathOperator|newenvironment|require|href"
    r"|url|style|class|cssId|includegraphics|input|include)(?![A-Za-z])"
)
_ENVIRONMENTS = {
    **dict.fromkeys(("align", "aligned", "split", "eqnarray", "flalign"), "align*"),
    **dict.fromkeys(("alignat", "alignedat"), "align*"),
    **dict.fromkeys(("gather", "gathered", "multline", "multlined"), "matrix"),
    "dcases": "cases", "equation": "", "displaymath": "", "math": "",
}  # fmt: skip
_ENVIRONMENT = re.compile(r"\\(begin|end)\{(\w+)\*?\}(?:(?<=at\})\{\d*\}|(?<=at\*\})\{\d*\})?")
_DROPPED = re.compile(r"\\(?:nonumber|notag|displaylimits)(?![A-Za-z])|\\label\{[^{}]*\}")
_TAG = re.compile(r"\\tag(\*?)\{([^{}]*)\}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_LIMITS = frozenset({"lim", "max", "min", "sup", "inf", "limsup", "liminf", "argmax", "argmin",
                     "arg max", "arg min", "det", "gcd", "Pr", "plim"})  # fmt: skip
_FENCES = frozenset("⟨⟩⌈⌉⌊⌋⟦⟧")


@dataclass(frozen=True)
class Math:
    """An element of a formula.

    Attributes:
        tag: Its name in MathML.
        parts: The elements in it.
        text: Its text, if it has no elements.
        attributes: Those of its attributes that are kept.
    """

    tag: str
    parts: tuple[Math, ...] = ()
    text: str = ""
    attributes: dict[str, str] = field(default_factory=dict[str, str])

    def __hash__(self) -> int:
        return hash((self.tag, self.parts, self.text))


def mathml_of(tex: str, *, display: bool) -> str | None:
    """A formula as MathML; None: it cannot be converted.

    Args:
        tex: The formula in TeX's language.
        display: Whether it stands on a line of its own.
    """
    tree = converted(tex, display=display)
    return None if tree is None else "".join(_written(tree))


@lru_cache(maxsize=2_000)
def converted(tex: str, *, display: bool) -> Math | None:
    """A formula as a tree; None: it cannot be converted.

    Args:
        tex: The formula in TeX's language. One that defines commands is not converted, because
            commands that use each other can grow without end.
        display: Whether it stands on a line of its own.
    """
    from latex2mathml.converter import convert_to_element

    if len(tex) > MAX_SIGNS or _DEFINES.search(tex) or _depth(tex) > MAX_DEPTH:
        return None
    try:
        found: Any = convert_to_element(_prepared(tex), display="block" if display else "inline")
        inner = _row(_children(found, display=display, depth=0))
    except Exception:  # latex2mathml raises anything on what it does not expect
        return None
    if inner is None or _count(inner) > MAX_NODES:
        return None
    attributes = {"display": "block" if display else "inline", "alttext": " ".join(tex.split())}
    return Math("math", (inner,), attributes=attributes)


def _depth(tex: str) -> int:
    """How deep groups are nested in each other, without a look at commands."""
    deepest = depth = 0
    for sign in tex:
        if sign == "{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign == "}":
            depth -= 1
    return max(deepest, tex.count("\\left"), tex.count("\\begin"))


def _prepared(tex: str) -> str:
    """TeX whose environments latex2mathml knows, with its number at the end."""

    def environment(found: re.Match[str]) -> str:
        name = _ENVIRONMENTS.get(found[2])
        if name is None:
            return found[0]
        return f"\\{found[1]}{{{name}}}" if name else " "

    tex = _ENVIRONMENT.sub(environment, _DROPPED.sub("", tex))
    tags = [words if star else f"({words})" for star, words in _TAG.findall(tex)]
    if tags:
        tex = _TAG.sub("", tex) + "".join(f"\\qquad\\text{{{words}}}" for words in tags)
    return tex


class _Unknown(ValueError):
    """An element or a command that has no place in a formula."""


def _children(element: Any, *, display: bool, depth: int) -> list[Math]:
    if depth > MAX_DEPTH * 2:
        raise _Unknown("nested too deeply")
    found: list[Math] = []
    for child in element:
        found += _node(child, display=display, depth=depth + 1)
    return _joined(found)


def _node(element: Any, *, display: bool, depth: int) -> list[Math]:
    """The elements that one of latex2mathml's becomes."""
    tag: str = element.tag
    given: dict[str, str] = element.attrib
    text = html.unescape(element.text or "")
    parts = _children(element, display=display, depth=depth)
    if tag in LEAVES and not parts:
        return [_leaf(tag, text, given)]
    if tag == "menclose":
        kind = "boxed" if "box" in given.get("notation", "") else "struck"
        return [Math("mrow", tuple(parts), attributes={"class": kind})]
    if tag in ("mpadded", "mtext", "merror"):
        inner = [*([_leaf("mtext", text, given)] if text.strip() else []), *parts]
        return inner if len(inner) == 1 else [Math("mrow", tuple(inner))]
    if tag not in ATTRIBUTES or tag == "math" or text.strip():
        raise _Unknown(tag)
    if len(parts) != _ARITY.get(tag, len(parts)):
        raise _Unknown(f"{tag} with {len(parts)} parts")
    if tag in ("msub", "msup", "msubsup") and display and _is_limit(parts[0]):
        tag = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}[tag]
    if tag == "mrow" and len(parts) == 1:
        return parts
    attributes = _attributes(tag, given)
    if tag == "mspace" and not attributes:
        return []
    if tag == "mtd" and given.get("columnalign") in ("left", "right"):
        attributes["class"] = given["columnalign"]
    return [Math(tag, tuple(parts), attributes=attributes)]


def _leaf(tag: str, text: str, given: dict[str, str]) -> Math:
    if tag != "mtext" and (_COMMAND.search(text) or text == "&"):
        raise _Unknown(text)
    text = unicodedata.normalize("NFC", "".join(c for c in text if c.isprintable() or c == "\xa0"))
    variant = given.get("mathvariant", "")
    attributes = _attributes(tag, given)
    if variant and variant != "normal":
        text = styled(text, variant)
        attributes.pop("mathvariant", None)
    if tag == "mi" and text in _FENCES:
        return Math("mo", text=text, attributes={"stretchy": "false"})
    if tag == "mo" and len(text) > 1 and text.isalpha() and text not in _LIMITS:
        return Math("mi", text=text)
    if tag == "mo" and text == "\u2015":
        return Math("mo", text="\u203e", attributes=attributes)
    return Math(tag, text=text, attributes=attributes)


def _is_limit(base: Math) -> bool:
    return base.tag in ("mo", "mi") and base.text.replace("\u2009", " ") in _LIMITS


def _joined(parts: Sequence[Math]) -> list[Math]:
    """Neighbours put together: upright letters as a word, a stroke with its sign."""
    found: list[Math] = []
    for part in parts:
        before = found[-1] if found else None
        if before and part.tag == before.tag == "mi" and _is_upright(part) and _is_upright(before):
            found[-1] = Math("mi", text=before.text + part.text, attributes=before.attributes)
        elif before and before.text == "\u29f8" and part.tag in LEAVES:
            struck = unicodedata.normalize("NFC", f"{part.text}\u0338")
            found[-1] = Math(part.tag, text=struck, attributes=part.attributes)
        else:
            found.append(part)
    return found


def _is_upright(part: Math) -> bool:
    return part.attributes.get("mathvariant") == "normal" and part.text.isalpha()


def _attributes(tag: str, given: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in given.items()
        if name in ATTRIBUTES[tag] and allowed_value(name, value)
    }


def allowed_value(name: str, value: str) -> bool:
    """Whether an attribute of a formula may have a value.

    Args:
        name: The attribute, one of `ATTRIBUTES`.
        value: Its value.
    """
    return name == "alttext" or _VALUES.get(name, _BOOLEAN).fullmatch(value) is not None


def _row(parts: Sequence[Math]) -> Math | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Math("mrow", tuple(parts))


def _count(tree: Math) -> int:
    return 1 + sum(map(_count, tree.parts))


def _written(tree: Math) -> Iterator[str]:
    given = "".join(f' {name}="{html.escape(v)}"' for name, v in sorted(tree.attributes.items()))
    yield f"<{tree.tag}{given}>"
    yield html.escape(tree.text, quote=False)
    for part in tree.parts:
        yield from _written(part)
    yield f"</{tree.tag}>"
