"""Blocks pass the suite that Prefect has for its own."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.filesystems import LocalFileSystem
from prefect.testing.standard_test_suites import BlockStandardTestSuite

from prefect_llm_reports.tasks.answers.store import AnswerStore
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint

BLOCKS = [AnswerStore, LLMEndpoint]


class TestEveryBlock(BlockStandardTestSuite):
    """Prefect's own demands on a block: what the UI shows of it is there."""

    @pytest.fixture(params=BLOCKS)
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        return request.param

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """The suite fetches the picture; ours are ones that Prefect tests itself."""
        theirs = {str(one._logo_url) for one in (LocalFileSystem, Webhook)}
        assert str(block._logo_url) in theirs


def test_no_block_is_left_out() -> None:
    """Every class of ours that is a block is in the list, also one of a kind of Prefect's."""
    package = import_module("prefect_llm_reports.tasks")
    for module in pkgutil.walk_packages(package.__path__, "prefect_llm_reports.tasks."):
        import_module(module.name)
    found, new = set[type[Block]](), {Block}
    while new:
        found |= new
        new = {sub for one in new for sub in one.__subclasses__()} - found
    ours = {one for one in found if one.__module__.startswith("prefect_llm_reports.")}
    assert ours == set(BLOCKS)
