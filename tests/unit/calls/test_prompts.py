"""Prompts: untrusted text stays inside its tags, and a user's templates inside their bounds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.calls.prompts import (
    PROMPTS,
    check_templates,
    critic_prompt,
    reviser_prompt,
    summarizer_prompt,
    writer_prompt,
)
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.contract.tags import delimited

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
