"""A house's own page templates: inside the sandbox, under the policy, checked before any call."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.pages import page as pages
from prefect_llm_reports.tasks.pages.own_templates import check_page_templates
from prefect_llm_reports.tasks.pages.page import PAGES
from prefect_llm_reports.tasks.pages.report import report_html
from tests.harness.pace import within
from tests.unit.pages.test_report import refined

OWN = """{{% extends "packaged/report.html.j2" %}}
{{% block page %}}{}<main id="main">{{{{ body }}}}</main>{{% endblock %}}"""
HEAD = "<!doctype html><html><head><title>x</title><style>{{ style }}</style></head><body>"


def house(tmp_path: Path, body: str, name: str = "report.html") -> ReportOptions:
    (tmp_path / "pages").mkdir(exist_ok=True)
    (tmp_path / "pages" / f"{name}.j2").write_text(body)
    return ReportOptions(templates=str(tmp_path))


def problems(options: ReportOptions) -> str:
    with pytest.raises(BadInput) as bad:
        check_page_templates(options)
    return str(bad.value)


def own_page(options: ReportOptions, title: str = "Tidal power") -> str:
    report = refined(topic=Topic(title=title))
    return report_html(report, "Summary.", offline=False, templates=options.templates)


def test_a_house_template_replaces_the_packaged_page(tmp_path: Path) -> None:
    """A template in `pages/` replaces the packaged one of its name, and may extend it."""
    options = house(tmp_path, OWN.format("<p>ACME on {{ title | upper }}</p>"))
    check_page_templates(options)
    page = own_page(options)
    assert "<p>ACME on TIDES</p>" in page
    assert "<title>Tides</title>" in page
    assert "ACME" not in report_html(refined(), "s", offline=False)


def test_a_house_style_sheet_is_allowed_by_its_hash(tmp_path: Path) -> None:
    """A style sheet of the house serves every page, and the policy allows it and no other."""
    options = house(tmp_path, "body { color: #123456; }", "style.css")
    check_page_templates(options)
    page, packaged = own_page(options), report_html(refined(), "s", offline=False)
    assert "<style>body { color: #123456; }\n</style>" in page
    policies = [re.search(r"style-src '(sha256-\S+)'", text) for text in (page, packaged)]
    assert policies[0]
    assert policies[1]
    assert policies[0][1] != policies[1][1]


def test_the_policy_is_not_left_to_the_template(tmp_path: Path) -> None:
    """A page written from scratch still opens with the strict policy."""
    options = house(tmp_path, f"{HEAD}{{{{ body }}}}</body></html>")
    check_page_templates(options)
    head = own_page(options).split("<title>")[0]
    assert "Content-Security-Policy" in head
    assert "default-src 'none'" in head
    said = problems(house(tmp_path, "<p>{{ body }}</p>"))
    assert "pages/report.html.j2" in said
    assert "must begin with <!doctype html>" in said


@pytest.mark.parametrize("name", PAGES)
def test_an_undefined_variable_is_bad_input_that_names_the_page(tmp_path: Path, name: str) -> None:
    """An undefined variable is found before any call, also in a branch seldom taken."""
    for body in ("{{ tilte }}", "{% if banner %}{{ tilte }}{% endif %}"):
        wanted = f"{HEAD}{body}" if name != "index" else f"{HEAD}{{{{ tilte }}}}"
        said = problems(house(tmp_path, wanted, f"{name}.html"))
        assert f"pages/{name}.html.j2: 'tilte' is undefined" in said


def test_an_unknown_name_is_listed_with_those_that_serve(tmp_path: Path) -> None:
    """A file that replaces nothing is named, with the names that would."""
    said = problems(house(tmp_path, "", "raport.html"))
    assert "pages/raport.html.j2: not the name of a page template" in said
    assert "report.html.j2" in said


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("<script>alert(1)</script>", "a <script> of its own"),
        ("<style>p { color: red }</style>", "a <style> of its own"),
        ("<p onclick='x()'>", "the attribute onclick"),
        ("<p style='color: red'>", "the attribute style"),
        ("<img src='https://acme.test/logo.png'>", "<img>"),
        ("<link rel=stylesheet href=x.css>", "<link>"),
        ("<iframe src=x></iframe>", "<iframe>"),
        ("<meta http-equiv=refresh content='0;url=x'>", 'http-equiv="refresh"'),
    ],
)
def test_what_the_policy_would_refuse_is_said_beforehand(
    tmp_path: Path, part: str, said: str
) -> None:
    """What a browser would refuse to run or load is a problem before any call."""
    found = problems(house(tmp_path, OWN.format(part)))
    assert "pages/report.html.j2" in found
    assert said in found


@pytest.mark.parametrize(
    "attack",
    [
        "{{ title | safe }}",
        "{% autoescape false %}{{ title }}{% endautoescape %}",
        "{% filter striptags %}{{ title }}{% endfilter %}",
        "{% set x | striptags %}{{ title }}{% endset %}{{ x }}",
        "{{ title.__class__ }}",
        "{{ body.__html__ }}",
        "{{ body._html }}",
        "{{ self.__init__.__globals__ }}",
        "{{ range(9) }}",
        "{{ 'a' * 100000000 }}",
    ],
)
def test_a_page_template_cannot_leave_its_sandbox(tmp_path: Path, attack: str) -> None:
    """No template marks text as HTML, or reaches beyond the values it is given."""
    assert "pages/report.html.j2" in problems(house(tmp_path, OWN.format(attack)))


@pytest.mark.parametrize(
    "tried",
    [
        "{{ topic }}",
        "{{ topic | striptags | e }}",
        "{{ topic | e | striptags }}",
        "{{ topic | e | replace('&lt;', '<') }}",
        "{% set x %}{{ topic }}{% endset %}{{ x | replace('&lt;', '<') }}",
        "{% macro m(t) %}{{ t }}{% endmacro %}{{ m(topic) | replace('&lt;', '<') }}",
        "{{ [topic | e, topic] | join('<b>' | e) }}",
        "{{ (topic | e).unescape() }}",
        "{{ (topic | e) ~ topic }}",
        "{{ (topic | e) + topic }}",
        "{{ (body | string) | replace('<script', '<script') }}{{ topic }}",
        "{{ topic | tojson }}",
        "{{ topic | list | join }}",
        "{{ (topic | e) | map('string') | join }}",
    ],
)
def test_no_way_through_a_template_leaves_text_unescaped(tmp_path: Path, tried: str) -> None:
    """However a template turns a hostile topic, no tag of it arrives in the page."""
    options = house(tmp_path, OWN.format(tried))
    check_page_templates(options)
    page = own_page(options, "<script>alert(1)</script><img src=x onerror=alert(1)>")
    assert "alert(1)" in page
    assert "<script" not in page
    assert "<img" not in page


def test_a_template_that_never_ends_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page template has its time, and no more."""
    monkeypatch.setattr(pages, "MAX_RENDER_S", 0.2)
    loops = "".join(f"{{% for v{n} in stopped %}}" for n in range(9)) + "{% endfor %}" * 9
    with within(2):
        assert "took longer than 0.2 s" in problems(house(tmp_path, OWN.format(loops)))


def test_where_a_house_template_fails_on_a_report_the_packaged_page_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A template that fails on real text costs no report; the log names the template."""
    options = house(tmp_path, OWN.format("{{ 1 // (topic | length - 7) }}"))
    with caplog.at_level(logging.WARNING, logger="prefect_llm_reports.tasks.pages.page"):
        page = own_page(options, "Seven 7")
    assert page == report_html(refined(topic=Topic(title="Seven 7")), "Summary.", offline=False)
    assert "pages/report.html.j2" in caplog.text
