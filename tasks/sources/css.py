"""Style sheets, as far as they hide text or colour it like its background.

Here: declarations, and which elements a rule is for. Not here: what is hidden in the end
(`visibility`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

Style = dict[str, str]
"""Values by property, in small letters."""
Attributes = Mapping[str, str]

_TELLING = frozenset(
    [
        "display",
        "visibility",
        "opacity",
        "font",
        "font-size",
        "color",
        "background",
        "background-color",
        "background-image",
        "position",
        "left",
        "right",
        "top",
        "bottom",
        "text-indent",
        "margin-left",
        "margin-top",
        "width",
        "height",
        "max-width",
        "max-height",
        "overflow",
        "overflow-x",
        "overflow-y",
        "clip",
        "clip-path",
        "transform",
        "content-visibility",
        "filter",
        "-webkit-text-fill-color",
    ]
)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.S)
_BLOCK = re.compile(r"([^{}]*)\{([^{}]*)\}")
_MEDIA = re.compile(r"@media([^{]*)\{((?:[^{}]*\{[^{}]*\})*)[^{}]*\}", re.I)
_SIMPLE = re.compile(r"([.#]?)([\w-]+|\*)|\[([\w-]+)(?:([~|^$*]?=)[\"']?([^\"'\]]*)[\"']?)?\]")
_MOST_RULES = 5000


class _Simple(NamedTuple):
    kind: str
    name: str
    relation: str = ""
    value: str = ""


class Rule(NamedTuple):
    """A rule for the elements that its selector fits."""

    selector: tuple[tuple[_Simple, ...], ...]
    style: Style


class Element(NamedTuple):
    """An open element."""

    tag: str
    attributes: Attributes
    classes: frozenset[str]


def declarations(text: str) -> Style:
    """The declarations of a `style` attribute, or inside a rule.

    Args:
        text: As written.
    """
    found: Style = {}
    weighty: set[str] = set()
    for part in _COMMENT.sub("", text).split(";"):
        name, colon, value = part.partition(":")
        name = name.strip().lower()
        if not colon or name not in _TELLING:
            continue
        plain = value.strip().lower()
        important = plain.endswith("important")
        if important:
            plain = plain[: -len("important")].rstrip(" !")
            weighty.add(name)
        if important or name not in weighty:
            found[name] = plain
    return found


def rules(sheet: str) -> Iterator[Rule]:
    """The rules of a style sheet that may hide text on a screen.

    Args:
        sheet: The content of a `style` element.
    """
    sheet = _COMMENT.sub("", sheet)

    def media(found: re.Match[str]) -> str:
        query = found[1].strip().lower()
        return found[2] if query in ("", "all", "screen", "only screen") else ""

    count = 0
    for block in _BLOCK.finditer(_MEDIA.sub(media, sheet)):
        style = declarations(block[2])
        if not style:
            continue
        for selector in block[1].split(","):
            parsed = _selector(selector)
            if parsed and (count := count + 1) <= _MOST_RULES:
                yield Rule(parsed, style)


def _selector(text: str) -> tuple[tuple[_Simple, ...], ...]:
    """A selector's compounds from the outermost element to the innermost; empty: not for text."""
    if ":" in text or "@" in text:  # states such as :hover, and text that rules make
        return ()
    compounds: list[tuple[_Simple, ...]] = []
    for part in re.split(r"[\s>+~]+", text.strip()):
        simples = tuple(
            _Simple(
                *(
                    ("[", found[3].lower(), found[4] or "", found[5] or "")
                    if found[3]
                    else (found[1], found[2] if found[1] else found[2].lower())
                )
            )
            for found in _SIMPLE.finditer(part)
        )
        if not simples:
            return ()
        compounds.append(simples)
    return tuple(compounds)


class RuleBook:
    """The rules of a page, found by what their selectors end in.

    Args:
        sheets: The contents of its `style` elements, in order.
    """

    def __init__(self, sheets: Sequence[str]) -> None:
        self._known: dict[tuple[str, str], list[tuple[int, Rule]]] = {}
        numbered = enumerate(rule for sheet in sheets for rule in rules(sheet))
        for number, rule in numbered:
            last = rule.selector[-1]
            key = next(
                ((s.kind, s.name) for s in last if s.kind in (".", "#") or s.name != "*"), ("", "*")
            )
            if key[0] == "[":
                key = ("", "*")
            self._known.setdefault(key, []).append((number, rule))

    def style(self, path: Sequence[Element]) -> Style:
        """What the rules say of the last element of a path.

        Args:
            path: The open elements from the outermost.
        """
        if not self._known:
            return {}
        element = path[-1]
        keys = [("", "*"), ("", element.tag), *((".", name) for name in element.classes)]
        if name := element.attributes.get("id"):
            keys.append(("#", name))
        found = [one for key in keys for one in self._known.get(key, ()) if fits(one[1], path)]
        style: Style = {}
        for _, rule in sorted(found, key=lambda one: one[0]):
            style.update(rule.style)
        return style


def fits(rule: Rule, path: Sequence[Element]) -> bool:
    """Whether a rule is for the last element of a path.

    Args:
        rule: The rule.
        path: The open elements from the outermost to the one in question.
    """
    if not all(_fits(simple, path[-1]) for simple in rule.selector[-1]):
        return False
    outer = len(path) - 2
    for compound in reversed(rule.selector[:-1]):
        while outer >= 0 and not all(_fits(simple, path[outer]) for simple in compound):
            outer -= 1
        if outer < 0:
            return False
        outer -= 1
    return True


def _fits(simple: _Simple, element: Element) -> bool:
    match simple.kind:
        case ".":
            return simple.name in element.classes
        case "#":
            return element.attributes.get("id") == simple.name
        case "[":
            value = element.attributes.get(simple.name)
            if value is None or not simple.relation:
                return value is not None
            wanted = simple.value
            match simple.relation:
                case "=":
                    return value == wanted
                case "^=":
                    return value.startswith(wanted)
                case "$=":
                    return value.endswith(wanted)
                case _:
                    return wanted in value
        case _:
            return simple.name in ("*", element.tag)
