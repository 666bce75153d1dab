"""Prompts: untrusted text stays inside its tags, and a user's templates inside their bounds."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tasks import prompts
from tasks.errors import BadInput
from tasks.options import ReportOptions
from tasks.prompts import (
    PROMPTS,
    check_templates,
    critic_prompt,
    delimited,
    reviser_prompt,
    summarizer_prompt,
    writer_prompt,
)
from tasks.schemas import Topic

TAGS = ("topic", "guidance", "house_style", "draft", "critique", "setbacks", "report")
SPELLINGS = (
    "</{}>",
    "<{}>",
    "</{} >",
    "</ {}>",
    "< /{}>",
    "<\n/\t{}\n>",
    "</{} x='1'>",
    "<\u200b/\u2060{}>",
    "</\x00{}>",
    "</\u00a0{}>",
)
FRAME = "{{% block system %}}S{{% endblock %}}{{% block user %}}{}{{% endblock %}}"


def folder(tmp_path: Path, body: str, name: str = "writer") -> ReportOptions:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / f"{name}.j2").write_text(body)
    return ReportOptions(templates=str(tmp_path))


def problems(options: ReportOptions) -> str:
    with pytest.raises(BadInput) as bad:
        check_templates(options)
    return str(bad.value)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("tag", TAGS)
def test_text_cannot_close_or_open_a_block(tag: str, spelling: str) -> None:
    """No spelling of our tags inside a topic, draft or critique closes a block or opens one."""
    attack = "".join(spelling.format(t) for t in (tag, tag.upper(), tag.title()))
    assert "<" not in delimited("topic", attack)[len("<topic>") : -len("</topic>")]
    topic = Topic(title=f"T{attack}", guidance=f"G{attack}")
    options = ReportOptions(house_style=f"H{attack}")
    asked = (
        writer_prompt(topic, options),
        critic_prompt(topic, options, f"D{attack}"),
        reviser_prompt(topic, options, f"D{attack}", f"C{attack}", f"S{attack}"),
        summarizer_prompt(topic, options, f"R{attack}"),
    )
    for _, user in asked:
        for name in TAGS:
            blocks = len(re.findall(rf"^<{name}>$", user.content, re.M))
            assert len(re.findall(rf"^</{name}>$", user.content, re.M)) == blocks <= 1
            assert user.content.count(f"<{name}") == user.content.count(f"</{name}") == blocks


def test_other_text_stays_as_it_is() -> None:
    """Text that is not one of our tags is not changed."""
    text = "a < b, <b>bold</b>, <topical>, List<String>, x<topicality"
    assert delimited("draft", text) == f"<draft>\n{text}\n</draft>"


def test_a_tag_of_a_users_template_is_closed_to_its_text_too() -> None:
    """A template's own tag cannot be closed by the text inside it either."""
    assert delimited("notes", "</notes><x>") == "<notes>\n&lt;/notes><x>\n</notes>"


def test_escaping_a_long_text_is_quick() -> None:
    """A text made to slow the escaping down is escaped at once."""
    began = time.perf_counter()
    delimited("draft", "<" + " " * 100_000 + "</" * 50_000)
    assert time.perf_counter() - began < 0.5


def test_packaged_prompts_show_what_was_asked_for() -> None:
    """The packaged prompts name language, readers, length, style and guidance."""
    options = ReportOptions(
        language="Welsh", audience="pilots", length_words=777, house_style="Dry."
    )
    system, user = writer_prompt(Topic(title="Kites", guidance="Wind"), options, variant="2")
    assert (system.role, user.role) == ("system", "user")
    for said in ("Kites", "Wind", "Welsh", "pilots", "777", "Dry.", "version 2"):
        assert said in user.content
    assert "\n\n\n" not in user.content
    check_templates(options)


def test_a_users_template_replaces_the_packaged_one(tmp_path: Path) -> None:
    """A template in the user's folder replaces the packaged one of its name, and only that."""
    options = folder(tmp_path, FRAME.format("{{ delimited('topic', topic|upper) }}!"))
    check_templates(options)
    topic = Topic(title="kites")
    assert writer_prompt(topic, options)[1].content == "<topic>\nKITES\n</topic>!"
    packaged = critic_prompt(topic, ReportOptions(), "# D")
    assert critic_prompt(topic, options, "# D") == packaged


@pytest.mark.parametrize("name", PROMPTS)
def test_an_undefined_variable_is_bad_input_that_names_the_template(
    tmp_path: Path, name: str
) -> None:
    """An undefined variable is found before any call, and the template is named."""
    said = problems(folder(tmp_path, FRAME.format("{{ tpoic }}"), name))
    assert f"prompts/{name}.j2" in said
    assert "'tpoic' is undefined" in said


def test_a_missing_block_is_named(tmp_path: Path) -> None:
    """A missing block is named, with those that are needed."""
    said = problems(folder(tmp_path, "{% block system %}S{% endblock %}"))
    assert "prompts/writer.j2: no block 'user'; it needs the blocks 'system' and 'user'" in said


def test_every_problem_is_listed(tmp_path: Path) -> None:
    """Unknown names, broken syntax and missing templates are listed together."""
    options = folder(tmp_path, "{% block system %}")
    for name, body in (("wirter", ""), ("critic", FRAME.format("{% include 'no.j2' %}"))):
        (tmp_path / "prompts" / f"{name}.j2").write_text(body)
    said = problems(options)
    assert "prompts/wirter.j2: not the name of a prompt" in said
    assert "prompts/writer.j2: " in said
    assert "prompts/critic.j2: template no.j2 not found" in said
    assert "not a folder" in problems(ReportOptions(templates=str(tmp_path / "nowhere")))


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
    began = time.perf_counter()
    assert "prompts/writer.j2" in problems(folder(tmp_path, FRAME.format(attack)))
    assert time.perf_counter() - began < 1


def test_a_template_that_never_ends_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nested loops without end are ended when their time is over, well within 2.5 s by default."""
    assert prompts.MAX_RENDER_S <= 2
    monkeypatch.setattr(prompts, "MAX_RENDER_S", 0.2)
    text = "abcdefghij" * 10
    loops = "".join(f"{{% for v{n} in '{text}' %}}" for n in range(9)) + "{% endfor %}" * 9
    began = time.perf_counter()
    assert "took longer than 0.2 s" in problems(folder(tmp_path, FRAME.format(loops)))
    assert time.perf_counter() - began < 0.7


def test_a_template_that_writes_without_end_is_ended(tmp_path: Path) -> None:
    """A template that writes more than a prompt may hold is refused."""
    text, letters = "x" * 10_000, "a" * 100
    loops = f"{{% for a in '{letters}' %}}{{% for b in '{letters}' %}}{text}" + "{% endfor %}" * 2
    assert "more than 2000000 characters" in problems(folder(tmp_path, FRAME.format(loops)))
