"""Templates and plain values turned into self-contained HTML pages under a strict policy.

Here: style and scripts within the page, and a Content-Security-Policy that allows them by their
hashes and nothing else; no template can change it. A user's folder may replace page templates and
the style sheet. Not here: the values of each page (`pages.report`, `pages.reader`, `pages.runs`).
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any

from prefect_llm_reports.tasks.templates.sandbox import Html, Limits, Sandbox
from prefect_llm_reports.tasks.text.direction import isolated
from prefect_llm_reports.tasks.text.markdown import well_formed

logger = logging.getLogger(__name__)

PAGES = ("report", "reader", "run", "index")
PARTS = ("base", "document", "masthead", "passages", "start")
TEMPLATES = ("style.css", *(f"{name}.html" for name in (*PAGES, *PARTS)))
SCRIPTS = {"reader": "tabs.js", "run": "tables.js", "index": "tables.js", "search": "tables.js"}
MAX_PAGE_CHARS = 30_000_000
MAX_RENDER_S = 20.0

_HEAD = re.compile(r"\s*<!doctype html>\s*<html(?:\s[^>]*)?>\s*<head>", re.IGNORECASE)
_ACTIVE = frozenset(
    {"applet", "audio", "base", "embed", "form", "frame", "iframe", "img", "link", "object"}
    | {"video"}
)


class PageRefused(ValueError):
    """A page cannot be given its policy, or contains something that the policy forbids."""


def page(name: str, values: Mapping[str, Any], templates: str | None = None) -> str:
    """Render a page; if a user's template fails on these values, use the packaged one.

    Args:
        name: The page, one of `PAGES`.
        values: The values that it shows: strings, numbers, lists, dicts, and safe HTML as `Html`.
        templates: The user's folder.
    """
    if templates is not None and _environment(templates).bounded:
        try:
            return rendered(name, values, templates)
        except Exception as error:  # a user's template can raise anything
            logger.warning("template pages/%s.html.j2: %s; the packaged one is used", name, error)
    return rendered(name, values, None)


def rendered(name: str, values: Mapping[str, Any], templates: str | None) -> str:
    """Render a page with the templates of one folder.

    Raises:
        PageRefused: The page has no head that could hold the policy.
    """
    style, script = _style(templates), _script(name)
    made = _environment(templates).rendered(
        f"{name}.html.j2",
        {**values, "style": Html(style), "script": Html(script) if script else ""},
    )
    head = _HEAD.match(made)
    if head is None:
        raise PageRefused("a page must begin with <!doctype html><html><head>")
    policy = (
        f'\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy"'
        f' content="{_policy(style, script)}">'
    )
    html = made[: head.end()].lstrip() + policy + made[head.end() :]
    return isolated(well_formed(html)).rstrip("\n") + "\n"


def refused_parts(html: str, name: str, templates: str | None) -> list[str]:
    """Parts of a page that a browser would refuse because of its policy."""
    return _Parts(html, {_style(templates), _script(name)}).refused


def forget_templates() -> None:
    """Read the templates again at their next use."""
    _environment.cache_clear()
    _style.cache_clear()


@lru_cache(maxsize=4)
def _environment(templates: str | None) -> Sandbox:
    limits = Limits(chars=MAX_PAGE_CHARS, seconds=MAX_RENDER_S)
    return Sandbox("pages", templates, limits, escape=True)


@lru_cache(maxsize=4)
def _style(templates: str | None) -> str:
    style = well_formed(_environment(templates).rendered("style.css.j2", {})).strip() + "\n"
    if "</" in style or "<!--" in style:
        raise PageRefused("style.css.j2: a style sheet cannot contain HTML tags or comments")
    return style


@lru_cache(maxsize=8)
def _script(name: str) -> str:
    return _environment(None).source(SCRIPTS[name]).strip() + "\n" if name in SCRIPTS else ""


@lru_cache(maxsize=16)
def _policy(style: str, script: str) -> str:
    allowed = f"default-src 'none'; style-src '{_hash(style)}'; "
    if script:
        allowed += f"script-src '{_hash(script)}'; "
    return f"{allowed}base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class _Parts(HTMLParser):
    """Collects the parts of a page that its policy refuses, in words."""

    def __init__(self, html: str, allowed: set[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.refused: list[str] = []
        self._allowed = allowed
        self._inside = ""
        self._text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _ACTIVE:
            self.refused.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "src", "srcset", "background"):
                self.refused.append(f"the attribute {name}")
            elif name == "http-equiv" and value != "Content-Security-Policy":
                self.refused.append(f'http-equiv="{value}"')
        if (tag, dict(attrs).get("type")) == ("script", "application/ld+json"):
            return  # data, which no browser runs
        if tag in ("script", "style"):
            self._inside, self._text = tag, ""

    def handle_data(self, data: str) -> None:
        self._text += data if self._inside else ""

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            if self._text not in self._allowed:
                self.refused.append(f"a <{tag}> of its own")
            self._inside = ""
