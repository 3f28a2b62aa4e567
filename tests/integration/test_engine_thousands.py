"""A start with thousands of tasks: what is due first does not wait for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tools import eventually, task_of

if TYPE_CHECKING:
    from tests.tools import Project

PLUGIN = """
    from pathlib import Path

    from core import hookimpl
    from manager import current_run

    def note():
        with Path("calls.txt").open("a") as file:
            file.write(f"{current_run().task_id}\\n")

    @hookimpl
    def taskrack_ready(task_manager):
        statuses = {task.status.value for task in task_manager.list_tasks()}
        Path("ready.txt").write_text(f"{sorted(statuses)} {Path('calls.txt').exists()}")

    TASK_DEFINITIONS = [
        {"id": f"rarely-{number}", "name": "Rarely", "func": note, "trigger": "interval",
         "trigger_args": {"days": 1}, "enabled": True, "max_retries": 0, "timeout": 60}
        for number in range(700)
    ] + [
        {"id": "often", "name": "Often", "func": note, "trigger": "interval",
         "trigger_args": {"seconds": 0.2}, "enabled": True, "max_retries": 0, "timeout": 60},
        {"id": "greeting", "name": "Greeting", "func": note, "trigger": "interval",
         "trigger_args": {"days": 9}, "enabled": True, "max_retries": 0, "timeout": 60,
         "run_on_start": True},
    ]
"""


def test_a_second_start_with_hundreds_of_tasks_binds_and_runs_them_all(project: Project) -> None:
    """Each is scheduled when the start returns, and runs at the start are not forgotten."""
    project.config(manager={"max_tasks": 1_000})
    project.plugin(PLUGIN)
    calls = project.root / "calls.txt"
    for _ in range(2):
        calls.unlink(missing_ok=True)
        manager = project.manager(default=False)
        manager.start()
        tasks = manager.task_manager
        assert {task.status.value for task in tasks.list_tasks()} <= {"scheduled", "running"}
        assert len(tasks.list_tasks()) == 702
        eventually(
            lambda: calls.exists() and {"often", "greeting"} <= set(calls.read_text().split())
        )
        assert task_of(tasks, "rarely-699").next_run is not None
        manager.shutdown(0)
    ready = (project.root / "ready.txt").read_text(encoding="utf-8")
    assert ready == "['scheduled'] False"
