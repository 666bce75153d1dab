"""Formulas for report.docx: the tree of MathML as Office MathML (ECMA-376, part 1, chapter 22.1).

Here: XML as text. Not here: the document around it (`pages.word`), Typst's formulas
(`pages.typst_math`), TeX (`text.mathml`).
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from prefect_llm_reports.tasks.pages.math_shapes import ACCENTS, CLOSING, fenced_until
from prefect_llm_reports.tasks.text.mathml import LEAVES, Math

NAMESPACES = (
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    ' xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
)
_LARGE = frozenset("∑∏∐∫∬∭∮∯∰\u22c3⋂⨁⨂⨀\u22c1⋀⨆")
_BRACES = {"⏞": "top", "⏟": "bot"}
_LINES = {"‾": "top", "―": "top", "_": "bot", "\u0332": "bot"}
_FONT = '<w:rPr><w:rFonts w:ascii="Cambria Math" w:hAnsi="Cambria Math"/></w:rPr>'


def omml_of(tree: Math) -> str:
    """A formula as `m:oMath`, or as `m:oMathPara` if it stands on a line of its own.

    Args:
        tree: The formula, with `math` as its root.
    """
    inner = _row(tree.parts)
    display = tree.attributes.get("display") == "block"
    if not display:
        return f"<m:oMath {NAMESPACES}>{inner}</m:oMath>"
    return f"<m:oMathPara {NAMESPACES}><m:oMath>{inner}</m:oMath></m:oMathPara>"


def _row(parts: Sequence[Math]) -> str:
    made: list[str] = []
    at = 0
    while at < len(parts):
        part = parts[at]
        end = fenced_until(parts, at)
        if end:
            closed = parts[end - 1].tag == "mo" and parts[end - 1].text in CLOSING
            inside = parts[at + 1 : end - 1 if closed else end]
            made.append(_fenced(part.text, parts[end - 1].text if closed else "", inside))
            at = end
        elif _is_large(part):
            end = _operand_end(parts, at + 1)
            made.append(_large(part, parts[at + 1 : end]))
            at = end
        else:
            made.append(_element(part))
            at += 1
    return "".join(made)


def _operand_end(parts: Sequence[Math], at: int) -> int:
    """Where the operand of a large operator ends: at a relation, or with the row."""
    for place in range(at, len(parts)):
        if parts[place].tag == "mo" and parts[place].text in "=<>≤≥≈≠≡→,+-\u2212":
            return place
    return len(parts)


def _element(tree: Math) -> str:
    parts = tree.parts
    match tree.tag:
        case tag if tag in LEAVES:
            return _leaf(tree)
        case "mspace":
            width = float(tree.attributes["width"].removesuffix("em"))
            return _run("\u2003" if width >= 0.9 else "\u2009" if width > 0 else "", upright=True)
        case "mfrac":
            bare = tree.attributes.get("linethickness") == "0"
            look = '<m:fPr><m:type m:val="noBar"/></m:fPr>' if bare else ""
            return f"<m:f>{look}{_in('num', parts[0])}{_in('den', parts[1])}</m:f>"
        case "msqrt":
            hidden = '<m:radPr><m:degHide m:val="1"/></m:radPr><m:deg/>'
            return f"<m:rad>{hidden}<m:e>{_row(parts)}</m:e></m:rad>"
        case "mroot":
            return f"<m:rad>{_in('deg', parts[1])}{_in('e', parts[0])}</m:rad>"
        case "msub" | "msup" | "msubsup":
            return _scripts(tree)
        case "munder" | "mover" | "munderover":
            return _over(tree)
        case "mtable":
            return _table(tree)
        case "mphantom":
            look = '<m:phantPr><m:show m:val="0"/></m:phantPr>'
            return f"<m:phant>{look}<m:e>{_row(parts)}</m:e></m:phant>"
        case "mrow" if tree.attributes.get("class") == "boxed":
            return f"<m:borderBox><m:e>{_row(parts)}</m:e></m:borderBox>"
        case "mrow" if tree.attributes.get("class") == "struck":
            hide = "".join(f'<m:hide{side} m:val="1"/>' for side in ("Top", "Bot", "Left", "Right"))
            look = f'<m:borderBoxPr>{hide}<m:strikeBLTR m:val="1"/></m:borderBoxPr>'
            return f"<m:borderBox>{look}<m:e>{_row(parts)}</m:e></m:borderBox>"
        case _:
            return _row(parts)


def _in(name: str, tree: Math) -> str:
    return f"<m:{name}>{_row((tree,))}</m:{name}>"


def _leaf(tree: Math) -> str:
    upright = tree.tag in ("mtext", "mn") or len(tree.text) > 1
    return _run(tree.text, upright=upright or "mathvariant" in tree.attributes)


def _run(text: str, *, upright: bool = False) -> str:
    if not text:
        return ""
    look = '<m:rPr><m:sty m:val="p"/></m:rPr>' if upright else ""
    return f'<m:r>{look}{_FONT}<m:t xml:space="preserve">{escape(text)}</m:t></m:r>'


def _scripts(tree: Math) -> str:
    name = {"msub": "sSub", "msup": "sSup", "msubsup": "sSubSup"}[tree.tag]
    base, *scripts = tree.parts
    names = {"msub": ["sub"], "msup": ["sup"], "msubsup": ["sub", "sup"]}[tree.tag]
    inner = "".join(_in(script, part) for script, part in zip(names, scripts, strict=True))
    return f"<m:{name}>{_in('e', base)}{inner}</m:{name}>"


def _over(tree: Math) -> str:
    base, other = tree.parts[0], tree.parts[-1]
    sign = other.text if other.tag == "mo" else ""
    if tree.tag != "munderover":
        if sign in _LINES:
            look = f'<m:barPr><m:pos m:val="{_LINES[sign]}"/></m:barPr>'
            return f"<m:bar>{look}{_in('e', base)}</m:bar>"
        if sign in ACCENTS and tree.tag == "mover":
            look = f"<m:accPr><m:chr m:val={quoteattr(ACCENTS[sign])}/></m:accPr>"
            return f"<m:acc>{look}{_in('e', base)}</m:acc>"
        if sign in _BRACES:
            side = _BRACES[sign]
            look = (
                f'<m:groupChrPr><m:chr m:val="{sign}"/><m:pos m:val="{side}"/>'
                f'<m:vertJc m:val="{"bot" if side == "top" else "top"}"/></m:groupChrPr>'
            )
            return f"<m:groupChr>{look}{_in('e', base)}</m:groupChr>"
    made = _row((base,))
    if "under" in tree.tag:
        made = f"<m:limLow><m:e>{made}</m:e>{_in('lim', tree.parts[1])}</m:limLow>"
    if "over" in tree.tag:
        made = f"<m:limUpp><m:e>{made}</m:e>{_in('lim', other)}</m:limUpp>"
    return made


def _is_large(tree: Math) -> bool:
    """Whether an element is a sum, an integral or the like, with limits or without."""
    scripted = ("msub", "msup", "msubsup", "munder", "mover", "munderover")
    base = tree.parts[0] if tree.tag in scripted else tree
    return base.tag == "mo" and base.text in _LARGE


def _large(tree: Math, operand: Sequence[Math]) -> str:
    base = tree.parts[0] if tree.parts else tree
    below = "sub" in tree.tag or "under" in tree.tag
    above = "sup" in tree.tag or "over" in tree.tag
    side = "undOvr" if "under" in tree.tag or "over" in tree.tag else "subSup"
    look = (
        f'<m:naryPr><m:chr m:val={quoteattr(base.text)}/><m:limLoc m:val="{side}"/>'
        + ("" if below else '<m:subHide m:val="1"/>')
        + ("" if above else '<m:supHide m:val="1"/>')
        + "</m:naryPr>"
    )
    sub = _in("sub", tree.parts[1]) if below else "<m:sub/>"
    sup = _in("sup", tree.parts[-1]) if above else "<m:sup/>"
    return f"<m:nary>{look}{sub}{sup}<m:e>{_row(operand)}</m:e></m:nary>"


def _fenced(opening: str, closing: str, inside: Sequence[Math]) -> str:
    look = (
        f"<m:dPr><m:begChr m:val={quoteattr(opening)}/><m:endChr m:val={quoteattr(closing)}/>"
        "</m:dPr>"
    )
    return f"<m:d>{look}<m:e>{_row(inside)}</m:e></m:d>"


def _table(tree: Math) -> str:
    widest = max((len(row.parts) for row in tree.parts), default=0)
    sides = [
        next(
            (row.parts[n].attributes.get("class", "") for row in tree.parts if n < len(row.parts)),
            "",
        )
        for n in range(widest)
    ]
    columns = "".join(
        f'<m:mc><m:mcPr><m:count m:val="1"/><m:mcJc m:val="{side or "center"}"/></m:mcPr></m:mc>'
        for side in sides
    )
    rows = "".join(
        "<m:mr>"
        + "".join(f"<m:e>{_row(cell.parts)}</m:e>" for cell in row.parts)
        + "<m:e/>" * (widest - len(row.parts))
        + "</m:mr>"
        for row in tree.parts
    )
    return f"<m:m><m:mPr><m:mcs>{columns}</m:mcs></m:mPr>{rows}</m:m>"
