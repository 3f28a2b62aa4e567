"""Tasks that are listed again and again are shown as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.run import TaskState
from tests.tools import fire, task_of

if TYPE_CHECKING:
    from tests.tools import Project


def beat() -> None:
    """Do nothing."""


def drum() -> None:
    """Do nothing, elsewhere."""


def test_every_change_is_seen_at_the_next_look(project: Project) -> None:
    """An edit, its end, a run, a pause, another definition, a removal."""
    tasks = project.engine()
    tasks.start()
    tasks.add_task(beat, "interval", "beat", hours=1)
    tasks.add_task(beat, "interval", "other", hours=1)
    assert [task.id for task in tasks.list_tasks()] == ["beat", "other"]

    tasks.update_task("beat", name="Beat", trigger_args={"hours": 2})
    assert (task_of(tasks, "beat").name, tasks.list_tasks()[0].trigger_args) == (
        "Beat",
        {"hours": 2},
    )
    tasks.reset_task("beat")
    assert (tasks.list_tasks()[0].name, tasks.list_tasks()[0].overrides) == ("beat", {})
    fire(tasks, "beat")
    assert (tasks.list_tasks()[0].completed, tasks.list_tasks()[1].completed) == (1, 0)
    tasks.pause_task("beat")
    assert tasks.list_tasks()[0].status is TaskState.PAUSED
    tasks.add_task(drum, "interval", "beat", hours=3, replace_existing=True, tags=["new"])
    seen = tasks.list_tasks()[0]
    assert (seen.trigger_args, seen.tags, seen.func_path.endswith(":drum")) == (
        {"hours": 3},
        ("new",),
        True,
    )
    tasks.remove_task("beat")
    assert [task.id for task in tasks.list_tasks()] == ["other"]


def test_a_reader_cannot_change_a_listed_task_for_others(project: Project) -> None:
    """What was read may be shared; the next look shows what the ledger says."""
    tasks = project.engine()
    tasks.start()
    tasks.add_task(beat, "interval", "beat", hours=1)
    with pytest.raises(TypeError, match="take a copy"):
        tasks.list_tasks()[0].trigger_args["hours"] = 99
    assert tasks.list_tasks()[0].trigger_args == {"hours": 1}
