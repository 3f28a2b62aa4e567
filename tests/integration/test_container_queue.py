"""Runs that somebody asks for, where too many wait."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import QueueFull
from core.run import RunState
from manager.testing import Lab
from tests.engine_tools import nothing
from tests.pages import taskrack

if TYPE_CHECKING:
    from tests.tools import Project


def test_a_full_queue_refuses_and_says_what_to_do() -> None:
    """By hand and by backfill; nothing that was accepted is lost."""
    with Lab(config={"manager": {"task_queue_size": 2, "scheduler_thread_pool": 1}}) as lab:
        lab.define("a", nothing, "interval", {"hours": 1})
        lab.takes("a", "1 min")
        lab.advance("5 h")
        for _ in range(2):
            lab.tasks.run_task("a")
        with pytest.raises(QueueFull) as full:
            lab.tasks.run_task("a")
        assert str(full.value) == (
            "2 runs that somebody asked for wait, one more would be beyond "
            "manager.task_queue_size, which is 2. None was added: ask again when some have "
            "started, ask for fewer, or raise it in config.json."
        )
        lab.tasks.pause_task("a")
        lab.advance("10 min")
        begun = lab.now - timedelta(days=2)
        lab.tasks.resume_task("a")
        planned = lab.tasks.backfill("a", begun, lab.now, dry_run=True)
        assert planned.left >= 5
        lab.advance("3 h")
        assert all(run.state is RunState.COMPLETED for run in lab.runs("a"))
        assert len(lab.runs("a")) == 10


def test_a_backfill_beyond_the_queue_adds_nothing() -> None:
    """Ten occurrences of a pause, three places."""
    with Lab(config={"manager": {"task_queue_size": 3}}) as lab:
        lab.define("a", nothing, "interval", {"hours": 1})
        begun = lab.now
        lab.tasks.pause_task("a")
        lab.advance("10 h")
        lab.tasks.resume_task("a")
        before = len(lab.runs("a"))
        with pytest.raises(QueueFull) as full:
            lab.tasks.backfill("a", begun, lab.now)
        assert (full.value.limit, full.value.waiting, full.value.asked) == (3, 0, 10)
        assert len(lab.runs("a")) == before
        lab.tasks.backfill("a", begun, begun + timedelta(hours=3))
        lab.advance("1 min")
        assert sum(run.state is RunState.COMPLETED for run in lab.runs("a")) == 3


def test_the_command_line_says_it_in_one_line(project: Project) -> None:
    """Exit code 1, nothing on the output."""
    project.config(manager={"task_queue_size": 1})
    tasks = project.engine()
    tasks.start()
    tasks.add_task(nothing, "interval", "a", hours=1)
    tasks.shutdown()
    assert taskrack(project.root, "run-now", "a").returncode == 0
    refused = taskrack(project.root, "run-now", "a")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "1 runs that somebody asked for wait, one more would be beyond" in refused.stderr
