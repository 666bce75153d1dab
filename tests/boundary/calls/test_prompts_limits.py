"""Templates of a user's own: no way out of the sandbox, bounded in time and size."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_llm_reports.tasks.calls import prompts
from prefect_llm_reports.tasks.contract.tags import delimited
from tests.harness.pace import within
from tests.unit.calls.test_prompts import FRAME, folder, problems


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ (''|attr('__class__')).__mro__ }}",
        "{{ delimited.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ range(10) }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ cycler }}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(tmp_path: Path, attack: str) -> None:
    """A template reaches plain values only: no classes, globals or functions but our own."""
    assert "prompts/writer.j2" in problems(folder(tmp_path, FRAME.format(attack)))


@pytest.mark.parametrize(
    "attack",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ ['a'] * 1000000000 }}",
        "{{ 10 ** 1000 }}",
        "{{ ((9**64)**64)**64 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ 'a'|center(999999999) }}",
        "{{ 'a'.center(999999999) }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ '1'.zfill(999999999) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ 'a'|indent(999999999) }}",
        "{{ [1]|batch(999999999, 'x')|list }}",
        "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a ~ a %}\n" * 40 + "{{ a }}",
        "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a + a %}\n" * 40 + "{{ a }}",
        "{% set a = [1] %}" + "{% set a = a + a %}\n" * 40 + "{{ a|length }}",
        "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a|replace('x', a) %}\n" * 9 + "{{ a }}",
        "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a|list|join(a) %}\n" * 9 + "{{ a }}",
    ],
)
def test_a_small_template_cannot_make_a_huge_value(tmp_path: Path, attack: str) -> None:
    """A small template cannot make a huge value; it is refused at once."""
    with within(1):
        assert "prompts/writer.j2" in problems(folder(tmp_path, FRAME.format(attack)))


def test_a_template_that_never_ends_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nested loops without end are ended when their time is over, well within 2.5 s by default."""
    assert prompts.MAX_RENDER_S <= 2
    monkeypatch.setattr(prompts, "MAX_RENDER_S", 0.2)
    text = "abcdefghij" * 10
    loops = "".join(f"{{% for v{n} in '{text}' %}}" for n in range(9)) + "{% endfor %}" * 9
    with within(0.7):
        assert "took longer than 0.2 s" in problems(folder(tmp_path, FRAME.format(loops)))


def test_a_template_that_writes_without_end_is_ended(tmp_path: Path) -> None:
    """A template that writes more than a prompt may hold is refused."""
    text, letters = "x" * 10_000, "a" * 100
    loops = f"{{% for a in '{letters}' %}}{{% for b in '{letters}' %}}{text}" + "{% endfor %}" * 2
    assert "more than 2000000 characters" in problems(folder(tmp_path, FRAME.format(loops)))


def test_escaping_a_long_text_is_quick() -> None:
    """A text made to slow the escaping down is escaped at once."""
    with within(0.5):
        delimited("draft", "<" + " " * 100_000 + "</" * 50_000)
