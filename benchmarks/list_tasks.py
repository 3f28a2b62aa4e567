"""How long it takes to list ten thousand tasks: in process, and as a command."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from benchmarks.harness import TASKS, Figure, Subject, make_project, measure, process
from manager import Manager
from manager.schemas.reading import TaskRead

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS: Final = ", ".join(name for name in TaskRead.model_fields if name != "status")
QUERY: Final = f"SELECT {COLUMNS}, node FROM tasks WHERE removed = 0 ORDER BY id"  # noqa: S608 - constants
DUMP: Final = (
    "import sqlite3, json; "
    f"rows = sqlite3.connect('ledger.db').execute('{QUERY}').fetchall(); "
    "print(json.dumps(rows))"
)


def run(folder: Path, turns: int = 9, count: int = TASKS) -> list[Figure]:
    """Start a container with *count* tasks in *folder* and measure how they are listed."""
    manager = Manager(make_project(folder, count), default=False)
    manager.start()
    try:
        listed = manager.task_manager.list_tasks()
        assert len(listed) == count
        inside = measure(
            [
                Subject("SELECT of the same rows with sqlite3", lambda: _select(folder)),
                Subject(
                    f"list_tasks() of {count} tasks",
                    manager.task_manager.list_tasks,
                    goal=0.1,
                    floor="SELECT of the same rows with sqlite3",
                ),
            ],
            turns,
        )
    finally:
        del listed
        manager.shutdown()
    return [*inside, *_whole_processes(folder, turns, count)]


def _whole_processes(folder: Path, turns: int, count: int) -> list[Figure]:
    dump = "python: sqlite3 SELECT and json.dumps of the same rows"
    return measure(
        [
            Subject("python -c pass", process("-c", "pass", folder=folder)),
            Subject(dump, process("-c", DUMP, folder=folder), floor="python -c pass"),
            Subject(
                f"taskrack list --json of {count} tasks",
                process("-m", "manager", "list", "--json", folder=folder),
                goal=1.0,
                floor=dump,
            ),
        ],
        turns,
    )


def _select(folder: Path) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "ledger.db")
    try:
        return connection.execute(QUERY).fetchall()
    finally:
        connection.close()
