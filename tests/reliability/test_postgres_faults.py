"""The short form of the check, and whether its measure of a return can fail."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.reliability import postgres_faults
from tests.reliability.checking import Scale
from tests.reliability.postgres_faults import Trial
from tests.reliability.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server


@pytest.mark.timeout(600)
def test_a_container_outlives_its_database_and_its_network(tmp_path: Path) -> None:
    """Ten restarts and ten failures of the network under load."""
    postgres_faults.check(Scale.SHORT, tmp_path).require()


def test_a_container_that_fires_too_late_is_noticed(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends does not count, only what starts, and only after the return."""
    monkeypatch.setattr(postgres_faults, "AGAIN_WITHIN", 0.05)
    journal = tmp_path / "journal.txt"
    journal.write_text("S before the return\n", encoding="utf-8")

    def write() -> None:
        for line in ("E not a start\n", "S a start\n"):
            threading.Event().wait(0.1)
            with journal.open("a", encoding="utf-8") as file:
                file.write(line)

    with Proxy(postgres.port) as proxy:
        trial = Trial(postgres, proxy, journal, calm=(0, 0))
        writing = threading.Thread(target=write)
        writing.start()
        trial._goes_on("restart")
        writing.join()
    assert trial.returns[0] > 0.15
    assert trial.failures[0].startswith("after 'restart' it fired again after 0.")
