"""Figures of the runs over the long cable, shown after the tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

FIGURES = pytest.StashKey[list[str]]()

Show = Callable[[str], None]


@pytest.fixture
def show(pytestconfig: pytest.Config) -> Show:
    """Take a line of figures."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash.get(FIGURES, []):
        terminalreporter.section("over network namespaces")
        for line in lines:
            terminalreporter.write_line(line)
