"""With NO_SKIPS=1 a test that is skipped, or expected to fail, makes the whole session fail.

What CI has not run it has not tested: a skip there is a hole that nobody sees.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


class NoSkips:
    """Collects what was skipped, and fails the session on it."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped, or expected to fail, whether it did or not."""
        if report.skipped or hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that was skipped as a whole."""
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Fail the session, unless it has failed already."""
        if self.skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was skipped."""
        for name in dict.fromkeys(self.skipped):
            terminalreporter.write_line(f"NO_SKIPS: {name} was skipped or expected to fail")


def pytest_configure(config: pytest.Config) -> None:
    """Watch for skips where the environment asks for it."""
    if os.environ.get("NO_SKIPS") == "1":
        config.pluginmanager.register(NoSkips(), "no-skips")
