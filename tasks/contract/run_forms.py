"""How parameters look in a run form: plain optional fields, their order, pickers of saved blocks.

Here: the schemas of forms. Not here: which values a parameter allows; its own declaration says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_KINDS = {"number": "Number", "string": "Text", "null": "None"}


def form(title: str | None = None, **groups: Sequence[str]) -> Callable[[dict[str, Any]], None]:
    """Shape a model's schema for a form: fields in order, optional fields as plain as others.

    A form shows a field that may be null as a choice of types. It shows an optional field without
    a default as an empty input. Both mean the same here, so the second way serves for both.
    A form has no headings within an object, so the label of a field begins with its group's name.

    Args:
        title: The form's title for the whole.
        groups: Names of fields by group, in the form's order; each field is in one of them. None:
            the order of declaration, and no groups.
    """
    group_of = {name: group for group, names in groups.items() for name in names}

    def shape(schema: dict[str, Any]) -> None:
        fields: dict[str, dict[str, Any]] = schema.get("properties", {})
        if groups and (wrong := group_of.keys() ^ fields.keys()):
            names = ", ".join(sorted(wrong))
            raise ValueError(f"{schema.get('title')}: no such fields, or in no group: {names}")
        if title:
            schema["title"] = title
        if about := schema.get("description"):
            schema["description"] = about.partition("\n\n")[0]  # the rest is for programmers
        for position, name in enumerate(group_of or fields):
            field = fields[name]
            if group := group_of.get(name):
                field["title"] = _label(name, field["title"], group.replace("_", " "))
            kinds = cast("list[dict[str, Any]]", field.get("anyOf", []))
            others = [kind for kind in kinds if kind.get("type") != "null"]
            if len(others) < len(kinds) and field.get("default", ...) is None:
                del field["default"]
                if len(others) == 1:
                    kinds = []
                    del field["anyOf"]
                    field |= {**others[0], **field}
            for kind in kinds:
                if kind.get("type") in _KINDS:
                    kind.setdefault("title", _KINDS[kind["type"]])
            field["position"] = position

    return shape


def _label(name: str, title: str, group: str) -> str:
    """A field's label below its group: "Sources: evidence words", "Approval days"."""
    words = name.replace("_", " ")
    label = words if title == words.title() else title[0].lower() + title[1:]
    text = label if label.startswith(group) else f"{group}: {label}"
    return text[0].upper() + text[1:]


@dataclass(frozen=True)
class SavedBlock:
    """Marks a text that names a saved block: a form offers the saved blocks, and a field for text.

    A picked block becomes its name at once, so none of its secrets goes any further.

    Args:
        slug: Slug of the block's type.
        title: The form's title for the picker.
        text: The form's title for the text.
        prefix: Stands before the name.
    """

    slug: str
    title: str
    text: str
    prefix: str = ""

    def name_of(self, value: Any) -> Any:
        """Turn a block into its name; every other value stays as it is.

        Raises:
            ValueError: The block is of another type, or not saved.
        """
        if not hasattr(value, "get_block_placeholder"):
            return value
        slug, name = value.get_block_type_slug(), ""
        if slug != self.slug:
            raise ValueError(f"is a block of type {slug}; pick one of type {self.slug}")
        with suppress(RuntimeError):  # it was never saved
            name = value.get_block_placeholder().removeprefix(f"prefect.blocks.{slug}.")
        if not name or name.startswith("anonymous-"):
            raise ValueError(f"is a {slug} block without a name; save it and give its name")
        return f"{self.prefix}{name}"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.name_of, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del schema
        shown = {"title": self.title, "block_type_slug": self.slug}
        block = core_schema.dict_schema(
            ref=f"{self.title.replace(' ', '')}:1", metadata={"pydantic_js_updates": shown}
        )
        found = handler(core_schema.union_schema([block, core_schema.str_schema()]))
        found["anyOf"][-1]["title"] = self.text
        return found


@dataclass(frozen=True)
class Lines:
    """Marks a list of texts or objects: a form offers a text with one item a line, and a list.

    Forms cannot tell two kinds of list apart, so the simple kind is a text.

    Args:
        objects: The form's title for the list of objects.
    """

    objects: str

    @staticmethod
    def split(value: Any) -> Any:
        """Split a text into its lines that are not blank; every other value stays as it is."""
        if not isinstance(value, str):
            return value
        return [line.strip() for line in value.splitlines() if line.strip()]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.split, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = handler(schema)
        _, item = found["items"]["anyOf"]
        return {
            "anyOf": [
                {"title": "One a line", "type": "string"},
                {**found, "items": item, "title": self.objects},
                {**found, "title": "Mixed"},
            ]
        }


@dataclass(frozen=True)
class OrText:
    """Marks an object that may also be written as a text: a form offers both.

    Args:
        title: The form's title for the text.
    """

    title: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"title": self.title, "type": "string"}, handler(schema)]}


def begins(value: Any) -> Any:
    """Fill in a form's field with another spelling of the default."""
    return Field(json_schema_extra={"default": value})


EndpointName = Annotated[str, SavedBlock("llm-endpoint", "LLM endpoint", "Its name")]
"""Name of a saved LLM endpoint."""
Output = Annotated[str, SavedBlock("s3-bucket", "S3 bucket", "Folder or address", "s3-bucket/")]
"""Folder or address for result directories."""
Name = Annotated[str, Field(title="Name")]
FilePath = Annotated[str, Field(title="Path")]
Nothing = Annotated[None, Field(title="None")]
Default = Annotated[None, Field(title="Default")]
