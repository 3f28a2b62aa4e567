"""The short form of the check of disks, and that it sees what it looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reliability import disk
from tests.reliability.checking import Scale

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_no_outcome_is_lost_to_a_disk(tmp_path: Path) -> None:
    """Full, failing at single calls, locked and damaged."""
    report = disk.check(Scale.SHORT, tmp_path)
    report.require()
    figures = {name: float(figure) for name, figure in report.figures.items()}
    assert figures["injected_faults"] >= len(disk.FAULTS)
    assert figures["damaged_refused"] >= 20
    assert figures["damaged_whole"] >= 5


def test_the_check_sees_a_damaged_file_that_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the look at a file that is opened, some copy is used although it is not whole."""
    monkeypatch.setattr("manager.storage.sqlite.check", lambda *_: None)
    assert disk.damaged(tmp_path, Scale.SHORT).failures != []


def test_the_check_sees_an_outcome_that_is_missing(tmp_path: Path) -> None:
    """A row that somebody took out after its task had ended is a loss."""
    data = tmp_path / "data"
    data.mkdir()
    container = disk.Container(tmp_path / "one", data)
    container.goes_on()
    (container.folder / "stop").touch()
    container.process.wait(60)
    with (container.folder / "journal").open("a") as journal:
        journal.write("S gone 1\nE gone 1\n")
    (failure,) = container.finish()
    assert "1 of " in failure
    assert failure.endswith("lost, gone")
