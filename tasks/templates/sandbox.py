"""Templates rendered in a sandbox.

Here: the only importer of Jinja2. A user's template sees plain strings, numbers, lists and dicts,
cannot mark text as HTML, reaches no attribute outside these values, and has bounds on its time and
on the size of every value it makes. Not here: the templates and their values (`calls.prompts`,
`pages`).
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    nodes,
)
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prefect_llm_reports.tasks.contract.errors import BadInput

_SWELLING = frozenset(
    {"center", "expandtabs", "format", "format_map", "join", "ljust", "replace", "rjust"}
    | {"translate", "zfill"}
)
_SWELLING_FILTERS = frozenset(
    {"batch", "center", "format", "indent", "slice", "urlize", "wordwrap", "xmlattr"}
)
_MARKING_FILTERS = frozenset({"safe"})
_NO_COLUMN = re.compile(r"'[\w.]*\bRow object' has no (?:attribute|element) '?([^']*)")
"""Jinja2's words for a column that a row does not have."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a user's template.

    Attributes:
        chars: Characters of its text, and of any value it makes on the way.
        seconds: Time for one rendering.
    """

    chars: int
    seconds: float


class Html:
    """Safe HTML: no template escapes it or can look into it."""

    __slots__ = ("_html",)

    def __init__(self, html: str) -> None:
        self._html = html

    def __html__(self) -> str:
        return self._html

    def __str__(self) -> str:
        return self._html


class _TooMuch(TemplateError):
    pass


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment for the packaged templates of one folder; a user's own replace them.

    Args:
        part: Folder below `templates`, and below the user's folder.
        folder: The user's folder; None: packaged templates only, which have no bounds.
        limits: Bounds of the user's templates.
        escape: Whether to escape values for HTML.
        known: Functions that templates may call, by name.
    """

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(
        self,
        part: str,
        folder: str | None,
        limits: Limits,
        *,
        escape: bool,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        packaged = PackageLoader("prefect_llm_reports.tasks.templates", part)
        loaders: list[BaseLoader] = [packaged, PrefixLoader({"packaged": packaged})]
        own = Path(folder) / part if folder else None
        self.bounded = own is not None and own.is_dir()
        if own is not None and self.bounded:
            loaders.insert(0, FileSystemLoader(own))
        super().__init__(
            loader=ChoiceLoader(loaders),
            undefined=StrictUndefined,
            autoescape=escape,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            auto_reload=False,
        )
        self._limits = limits
        self._escape = escape
        functions = cast("dict[str, Any]", self.globals)
        functions.clear()
        functions.update(known or {})
        filters = cast("dict[str, Any]", self.filters)
        if self.bounded:
            self._restrict(filters)

    def _restrict(self, filters: dict[str, Any]) -> None:
        for name in _SWELLING_FILTERS | _MARKING_FILTERS:
            del filters[name]
        filters.update(join=self._join, replace=self._replace)

    def wrap_str_format(self, value: Any) -> None:
        """Do not wrap `format`; `is_safe_attribute` refuses it, since a width makes a huge text."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse also the text methods by which a small template makes a huge value."""
        if isinstance(obj, str | bytes) and attr in _SWELLING:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse operations by which a small template makes a huge value."""
        numbers = all(isinstance(side, int | float) for side in (left, right))
        if operator != "+":
            if not numbers or max(abs(left), abs(right)) > (64 if operator == "**" else 10**12):
                raise SecurityError(
                    f"the operator {operator} works with small numbers only in templates"
                )
        elif not numbers:
            self._fits(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        if self.bounded and self._escape:
            _refuse_unescaped(tree, name)
        return tree

    def _fits(self, size: int) -> None:
        if size > self._limits.chars:
            raise _TooMuch(f"makes a value of more than {self._limits.chars} characters")

    def _join(self, parts: Iterable[object], between: str = "") -> str:
        texts = [str(part) for part in parts]
        self._fits(sum(len(text) + len(between) for text in texts))
        return str(between).join(texts)

    def _replace(self, text: object, old: str, new: str) -> str:
        source = str(text)
        self._fits(len(source) + source.count(old) * len(new))
        return source.replace(old, new)

    def rendered(self, name: str, values: Mapping[str, Any]) -> str:
        """Render a template."""
        template = self.get_template(name)
        return self._text(template.root_render_func, template.new_context(dict(values)))

    def blocks(self, name: str, parts: Iterable[str], values: Mapping[str, Any]) -> list[str]:
        """Render blocks of a template, each on its own.

        Raises:
            KeyError: The template has no such block.
        """
        template: Template = self.get_template(name)
        context = template.new_context(dict(values))
        return [self._text(template.blocks[part], context) for part in parts]

    def source(self, name: str) -> str:
        """The text of a packaged file."""
        assert self.loader is not None
        return self.loader.get_source(self, f"packaged/{name}")[0]

    def _text(self, render: Any, context: Any) -> str:
        if not self.bounded:
            return "".join(render(context))
        limits = self._limits
        ends = time.monotonic() + limits.seconds

        def watch(frame: FrameType, _event: str, _arg: object) -> Any:
            if time.monotonic() > ends:
                raise _TooMuch(f"took longer than {limits.seconds:g} s to render")
            if frame.f_code.co_filename.endswith(
                (".j2", "<template>")
            ):  # `set` doubles what `~` joins
                for value in frame.f_locals.values():
                    if isinstance(value, str | list | tuple):
                        self._fits(len(cast("str | list[object] | tuple[object, ...]", value)))
            return watch

        before = sys.gettrace()
        sys.settrace(watch)
        try:
            parts: list[str] = []
            size = 0
            for part in render(context):
                size += len(part)
                if size > limits.chars:
                    raise _TooMuch(f"rendered more than {limits.chars} characters")
                parts.append(part)
        finally:
            sys.settrace(before)
        return "".join(parts)


class TextSandbox(Sandbox):
    """Renders a text that a person wrote as one of many, such as a topic's guidance.

    Args:
        limits: Bounds of the text and of what it makes.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__("prompts", None, limits, escape=False)
        self.loader = None
        self.bounded = True
        self._restrict(cast("dict[str, Any]", self.filters))

    def render(self, text: str, values: Mapping[str, Any]) -> str:
        """Render a text.

        Args:
            text: The template.
            values: What it may name.

        Raises:
            ValueError: It names something else, or is no template; with the reason.
        """
        try:
            template = self.from_string(text)
            return self._text(template.root_render_func, template.new_context(dict(values)))
        except TemplateError as error:
            raise ValueError(error.message or type(error).__name__) from None
        except Exception as error:  # a person's expression can fail in any way
            raise ValueError(f"{type(error).__name__}: {error}") from None


def _refuse_unescaped(tree: nodes.Template, name: str | None) -> None:
    """Refuse statements whose result Jinja2 would not escape."""
    for found in tree.find_all((nodes.EvalContextModifier, nodes.FilterBlock, nodes.AssignBlock)):
        if isinstance(found, nodes.AssignBlock) and found.filter is None:
            continue
        said = (
            "escaping cannot be switched off"
            if isinstance(found, nodes.EvalContextModifier)
            else "use filters on values, {{ value | filter }}, not on blocks"
        )
        raise TemplateSyntaxError(said, found.lineno, name)


def problem_of(template: str, error: Exception, columns: Iterable[str] = ()) -> str:
    """The message for a user's template that fails.

    Args:
        template: Its name in the user's folder, for example `prompts/writer.j2`.
        error: The exception that it raised.
        columns: The columns of the row that it saw.
    """
    if isinstance(error, TemplateNotFound):
        return f"template {template}: template {error} not found"
    if found := _NO_COLUMN.search(str(error)):
        there = ", ".join(columns) or "none"
        said = f"names row.{found[1]}, the columns there are: {there}"
        return f"template {template}: {said}; correct the template or the topics file"
    if isinstance(error, TemplateError):
        return f"template {template}: {error}; correct the template"
    return f"template {template}: {type(error).__name__}: {error}"


def misnamed(folder: Path, part: str, known: Iterable[str], noun: str) -> list[str]:
    """Messages for the files in a user's folder that replace no packaged template."""
    names = list(known)
    return [
        f"template {part}/{found.name}: not the name of a {noun}; use"
        f" {', '.join(f'{name}.j2' for name in names)}"
        for found in sorted((folder / part).glob("*.j2"))
        if found.stem not in names
    ]


def own_folder(templates: str) -> Path:
    """The user's folder of templates.

    Raises:
        BadInput: There is no such folder.
    """
    folder = Path(templates)
    if not folder.is_dir():
        raise BadInput(
            f"templates {folder}: not a folder; give one that contains prompts/NAME.j2 or"
            " pages/NAME.j2"
        )
    return folder
