"""A container under steady load, for as long as a test run can bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.reliability import soak
from tests.reliability.checker import Expected
from tests.reliability.checking import Scale
from tests.reliability.journal import Entry, Event

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_a_container_under_load_stays_as_it_is(tmp_path: Path) -> None:
    """Twenty seconds at 50 runs a second leave memory, threads, files and database flat."""
    soak.check(Scale.SHORT, tmp_path).require()


def test_a_leak_is_seen_and_a_sawtooth_is_none() -> None:
    """What is measured is the line through all looks, not two of them."""
    seconds = [float(each) for each in range(100)]
    assert soak.risen(seconds, [100 + 0.1 * each for each in seconds]) == pytest.approx(9.9)
    assert abs(soak.risen(seconds, [100 + each % 5 for each in seconds])) < 0.5


def test_occurrences_that_nobody_called_are_seen() -> None:
    """A gap is told, and so is an occurrence that two runs were called for."""
    tasks = {"a": Expected(10, 10)}
    called = [Entry(Event.STARTED, run, "a", due, 1, 1, 7, due, 0) for run, due in
              (("1", 10), ("2", 20), ("2b", 20), ("4", 40))]  # fmt: skip
    said = soak.uncalled(called, tasks, {"a": 0}, 50)
    assert len(said) == 2
    assert said[1] == "a: 1 occurrences were never called"
    assert soak.uncalled(called, tasks, {"a": 30}, 50) == said[:1]
