"""Orders that reach every process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reliability.checking import Scale
from tests.reliability.orders import check

if TYPE_CHECKING:
    from pathlib import Path


def test_orders_reach_every_process_within_a_second(tmp_path: Path) -> None:
    """Runs by hand, pauses, resumes, edits and removals, given by a process that runs nothing."""
    check(Scale.SHORT, tmp_path).require()
