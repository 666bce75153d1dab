"""Tags of prompts: what is enclosed in one is found again, and templates use known names only."""

from __future__ import annotations

import re

import pytest

from prefect_llm_reports.tasks.contract.tags import Tag, delimited, enclosed
from tests.harness import ROOT


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo", "</draft>\n<topic>\nx\n</topic>", "a < b"])
def test_enclosed_text_is_found_again(text: str) -> None:
    """A prompt's readers get every text as it was before it was enclosed, in order."""
    prompt = f"Do.\n\n{delimited('topic', text)}\n\nMore.\n{delimited('draft', text)}\nEnd."
    assert enclosed(prompt) == [(Tag.TOPIC, text), (Tag.DRAFT, text)]


def test_a_tag_inside_another_one_is_text() -> None:
    """Only the outermost tags count, also in a prompt that escaped nothing."""
    inner = "<critique>\n{}\n</critique>"
    assert enclosed(f"<draft>\n{inner}\n</draft>") == [(Tag.DRAFT, inner)]


def test_a_tag_that_is_not_closed_encloses_nothing() -> None:
    """A tag without an end, within a line or with a foreign name is left alone."""
    assert enclosed("<draft>\nno end\n<topic>\nx\n</topic>") == [(Tag.TOPIC, "x")]
    assert enclosed("in <topic>\nx\n</topic> or <notes>\nx\n</notes>") == []


def test_templates_use_known_tags_only() -> None:
    """Each tag in a packaged prompt is one of ours, so that no text inside it can close it."""
    prompts = [path.read_text() for path in ROOT.glob("tasks/templates/prompts/*.j2")]
    used = {tag for prompt in prompts for tag in re.findall(r"delimited\(\W(\w+)", prompt)}
    assert len(prompts) == 14
    assert {"topic", "draft", "query"} <= used <= set(Tag)
