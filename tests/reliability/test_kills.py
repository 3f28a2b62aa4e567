"""Kills and pauses under load, and that the harness would see a container that keeps no promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability import kills
from tests.reliability.checking import Scale
from tests.reliability.kills import STORMS, Storm, stormed
from tests.reliability.rows import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.reliability.checking import Report

FORGETFUL: str = """
from manager.storage import membership

class AnyOften:
    AT_MOST_ONCE = "never said"

membership.Delivery = AnyOften
"""
"""A plugin that lets every run be started again after a crash, whatever its task says."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kill", [kills.on_sqlite, kills.on_postgresql])
def test_nothing_is_lost_while_containers_are_killed(
    kill: Callable[[Storm, Path], Report], tmp_path: Path
) -> None:
    """30 kills and 5 pauses longer than the lease, while more than 100 runs a second are due."""
    kill(STORMS[Scale.SHORT], tmp_path).require()


@pytest.mark.timeout(300)
def test_a_container_that_runs_at_most_once_twice_is_caught(tmp_path: Path) -> None:
    """A container that was broken on purpose is found out by a dozen kills."""
    store = SqliteStore(tmp_path / "ledger.db")
    report = stormed(Storm(kills=12, pauses=0), store, tmp_path, FORGETFUL)
    assert "duplicate of at most once" in " ".join(report.failures)
