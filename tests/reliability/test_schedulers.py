"""Several processes on one database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability import schedulers
from tests.reliability.checking import Scale

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_each_occurrence_is_started_once_by_one_of_several_processes(tmp_path: Path) -> None:
    """10,000 occurrences, four processes, one of them a zombie at any time."""
    report = schedulers.check(Scale.SHORT, tmp_path)
    report.require()
