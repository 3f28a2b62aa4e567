"""How long it takes to foretell a week of five hundred tasks: in process, and as a command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from benchmarks.harness import Figure, Subject, measure, process
from manager import Manager

if TYPE_CHECKING:
    from pathlib import Path

TASKS: Final = 500
RUNS: Final = 240_000
PLUGIN: Final = '''"""Five hundred tasks: some every minute, most of them now and then."""


async def nothing():
    """Do nothing."""


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe")
SCHEDULES = {
    "minutely": (9, lambda n: ("cron", {"minute": "*"}, 0)),
    "minutes": (5, lambda n: ("interval", {"minutes": 1}, 0)),
    "fives": (25, lambda n: ("cron", {"expression": "*/5 * * * *"}, 0)),
    "jittered": (13, lambda n: ("interval", {"minutes": 5}, 30)),
    "hourly": (138, lambda n: ("cron", {"minute": n % 60}, 0)),
    "daily": (200, lambda n: ("cron", {"hour": n % 24, "minute": n % 60}, 0)),
    "nightly": (50, lambda n: ("cron", {"hour": n % 24, "minute": n % 60}, 600)),
    "weekly": (60, lambda n: ("cron", {"expression": f"{n % 60} {n % 24} * * {n % 7}"}, 0)),
}
TASK_DEFINITIONS = [
    {
        "id": f"{name}_{n:03}",
        "func": nothing,
        "trigger": make(n)[0],
        "trigger_args": make(n)[1],
        "jitter": make(n)[2],
        "timezone": ZONES[n % len(ZONES)],
    }
    for name, (count, make) in SCHEDULES.items()
    for n in range(count)
]
'''


def run(folder: Path, turns: int = 5) -> list[Figure]:
    """Start a container with the tasks in *folder* and measure how they are foretold."""
    manager = Manager(_project(folder), default=False)
    manager.start()
    try:
        tasks = manager.task_manager
        assert len(tasks.list_tasks()) == TASKS
        found = len(tasks.forecast().runs)
        assert found > RUNS, found
        subject = Subject(f"forecast() of {TASKS} tasks: a week, {found} runs", tasks.forecast, 3.0)
        inside = measure([subject], turns)
    finally:
        manager.shutdown()
    command = process("-m", "manager", "forecast", "--json", folder=folder)
    return [*inside, *measure([Subject("taskrack forecast --json of the same", command)], turns)]


def _project(folder: Path) -> Path:
    place = folder / folder.name  # no two projects have a module of one name
    place.mkdir(parents=True)
    (place / "taskplugins.py").write_text(PLUGIN, encoding="utf-8")
    config = folder / "config.json"
    settings = {
        "database": {"url": "sqlite:///./ledger.db"},
        "manager": {"tasks_directory": folder.name, "max_tasks": TASKS},
        "loggers": {"enable_file": False, "log_level": "WARNING"},
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    return config
