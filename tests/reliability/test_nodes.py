"""What a check starts, it ends, whatever happens to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability import workload
from tests.reliability.nodes import Container, Nodes
from tests.reliability.rows import SqliteStore
from tests.reliability.warm import Order
from tests.reliability.workload import Kind
from tests.tools import eventually


def test_a_check_that_fails_leaves_no_process_behind(tmp_path: Path) -> None:
    """Containers that run, stand still, wait to be let go or never came up are all gone."""
    workload.project(tmp_path, SqliteStore(tmp_path / "ledger.db"), {"a": Kind(count=1)})
    pids: list[int] = []

    def broken() -> None:
        with Nodes() as nodes:
            running = nodes.start(Order(folder=str(tmp_path))).ready()
            still = nodes.start(Order(folder=str(tmp_path))).ready()
            still.pause()
            held = nodes.start(Order(folder=str(tmp_path), held=True))
            eventually(lambda: held.is_held)
            pids.extend(each.pid for each in (running, still, held))
            assert nodes._warm is not None
            pids.append(nodes._warm.pid)
            raise ValueError("the check fails")

    with pytest.raises(ValueError, match="the check fails"):
        broken()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_a_container_that_does_not_start_is_told(tmp_path: Path) -> None:
    """A project that cannot be used ends its container; who waits for it hears of it."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "taskrack.db").mkdir()
    with Nodes() as nodes:
        container: Container = nodes.start(Order(folder=str(tmp_path)))
        with pytest.raises(AssertionError, match="ended at its start"):
            container.ready()
