"""What pydantic finds wrong with a value reads like a sentence of ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from prefect_llm_reports.tasks.text.complaints import any_of, plainly

WRONG: list[tuple[Any, Any, str]] = [
    (int, "many", "wanted a whole number"),
    (int, 1.5, "wanted a whole number"),
    (float, "x", "wanted a number"),
    (Decimal, "abc", "wanted a number"),
    (bool, "perhaps", "wanted true or false"),
    (str, 5, "wanted a text"),
    (list[int], 5, "wanted a list"),
    (tuple[int, ...], 5, "wanted a list"),
    (dict[str, int], 5, "wanted an object"),
    (Annotated[int, Field(ge=1)], 0, "wanted at least 1"),
    (Annotated[float, Field(le=10)], 11, "wanted at most 10"),
    (Annotated[float, Field(gt=0)], 0, "wanted more than 0"),
    (Annotated[float, Field(lt=2)], 2, "wanted less than 2"),
    (Annotated[str, Field(min_length=1)], "", "wanted at least 1 character"),
    (Annotated[list[int], Field(max_length=2)], [1, 2, 3], "wanted at most 2 items"),
    (Annotated[str, Field(pattern="^[a-z]+$")], "A", "wanted a text of the form ^[a-z]+$"),
    (Annotated[float, Field(allow_inf_nan=False)], float("nan"), "wanted a finite number"),
    (Literal["standard", "flex"], "flx", "wanted 'standard' or 'flex'"),
]


@pytest.mark.parametrize(("kind", "value", "said"), WRONG, ids=[said for *_, said in WRONG])
def test_what_was_wanted_is_said(kind: Any, value: Any, said: str) -> None:
    """Whatever pydantic checks, in words that do not name its types."""
    with pytest.raises(ValidationError) as bad:
        TypeAdapter(kind).validate_python(value)
    assert plainly(bad.value.errors()[0]["msg"]) == said


def test_kinds_are_joined_and_other_sentences_stay() -> None:
    """A value that fits none of several kinds has one sentence."""
    with pytest.raises(ValidationError) as bad:
        TypeAdapter(int | list[str] | None).validate_python("x")
    said = any_of([error["msg"] for error in bad.value.errors()])
    assert said == "wanted a whole number or a list"
    assert plainly("'a b' is not a branch name") == "'a b' is not a branch name"
