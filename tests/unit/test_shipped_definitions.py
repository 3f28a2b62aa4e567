"""The shipped tasks are defined and registered as documented."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from backgroundtask import taskplugins
from backgroundtask.taskplugins import TASK_DEFINITIONS, register_tasks

if TYPE_CHECKING:
    from manager.task.taskmanager import TaskManager

TABLE = [
    ("cleanup_old_logs", "Cleanup Old Logs", "cron", {"hour": 0, "minute": 0}, True, 3, 300),
    ("send_daily_reports", "Send Daily Reports", "cron", {"hour": 9, "minute": 0}, True, 2, 600),
    ("sync_external_data", "Sync External Data", "interval", {"hours": 1}, False, 3, 1800),
    ("health_check", "System Health Check", "interval", {"minutes": 5}, True, 1, 30),
]
KEYS = ("id", "name", "trigger", "trigger_args", "enabled", "max_retries", "timeout")


@dataclass
class Registrar:
    """Takes ``add_task`` and refuses one id."""

    refused: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)

    def add_task(self, **values: Any) -> None:  # noqa: ANN401 - as documented
        if values["id"] == self.refused:
            raise ValueError("it has no place here")
        self.calls.append(values)


def registered(registrar: Registrar) -> list[dict[str, Any]]:
    register_tasks(cast("TaskManager", registrar))
    return registrar.calls


@pytest.mark.item("X6")
def test_the_four_shipped_tasks_are_those_of_the_table() -> None:
    """Ids, names, triggers, arguments, switches, retries and timeouts are as documented."""
    assert [tuple(each[key] for key in KEYS) for each in TASK_DEFINITIONS] == TABLE


@pytest.mark.item("X6")
def test_each_definition_names_the_function_of_its_id() -> None:
    """The function can be imported under the task's id."""
    for definition in TASK_DEFINITIONS:
        assert definition["func"] is getattr(taskplugins, definition["id"])


def test_only_the_health_check_runs_at_the_start() -> None:
    """It is the one key beyond the documented eight."""
    more = {each["id"]: set(each) - {*KEYS, "func"} for each in TASK_DEFINITIONS}
    assert {task_id for task_id, keys in more.items() if keys} == {"health_check"}
    assert TASK_DEFINITIONS[3]["run_on_start"] is True


@pytest.mark.item("X6")
def test_registering_calls_add_task_as_documented(caplog: pytest.LogCaptureFixture) -> None:
    """The trigger's arguments are spread out beside the options."""
    with caplog.at_level("INFO", "backgroundtask"):
        calls = registered(Registrar())
    assert calls[2] == {
        "func": taskplugins.sync_external_data,
        "trigger": "interval",
        "id": "sync_external_data",
        "hours": 1,
        "max_retries": 3,
        "timeout": 1800,
    }
    assert caplog.messages == [f"Registered task: {name}" for _, name, *_ in TABLE]


@pytest.mark.item("X6")
def test_a_task_that_is_refused_keeps_no_other_out(caplog: pytest.LogCaptureFixture) -> None:
    """The log names it and why, and the loop goes on."""
    with caplog.at_level("INFO", "backgroundtask"):
        calls = registered(Registrar(refused="send_daily_reports"))
    assert [call["id"] for call in calls] == [
        "cleanup_old_logs",
        "sync_external_data",
        "health_check",
    ]
    assert "Failed to register task send_daily_reports: it has no place here" in caplog.messages
