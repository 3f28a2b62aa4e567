"""Tasks that write down what they do, and projects that are full of them."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from manager import current_run
from tests.reliability.checker import Expected
from tests.reliability.journal import EPOCH, Journal, wall

if TYPE_CHECKING:
    from manager import RunContext
    from tests.reliability.rows import Store

FILE: Final = "journal.txt"
JOURNAL: Final = Journal(Path(FILE))
"""In the folder in which the container runs."""
PLUGIN: Final = """
from tests.reliability.workload import definitions

TASK_DEFINITIONS = definitions("workload.json")
"""
QUICK_RETRY: Final = {"backoff": "fixed", "delay": 0.05, "jitter": False}


def plain(seconds: float) -> list[int]:
    """Take *seconds*, and return which attempt it was."""
    run = running()
    with JOURNAL.attempt(run):
        if seconds:
            threading.Event().wait(seconds)
    return [run.attempt, run.token]


async def waiting(seconds: float) -> list[int]:
    """Do the same as a coroutine."""
    run = running()
    with JOURNAL.attempt(run):
        await asyncio.sleep(seconds)
    return [run.attempt, run.token]


def flaky(seconds: float) -> list[int]:
    """Fail at every attempt of an odd number."""
    run = running()
    with JOURNAL.attempt(run):
        if seconds:
            threading.Event().wait(seconds)
        if run.attempt % 2:
            raise RuntimeError("an odd attempt")
    return [run.attempt, run.token]


FUNCTIONS: Final = {"plain": plain, "waiting": waiting, "flaky": flaky}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Some tasks alike.

    Attributes:
        count: How many.
        func: One of ``FUNCTIONS``.
        seconds: How long a run takes.
        every: Seconds between two occurrences.
        at_most_once: How they are delivered.
        options: More keys of their definitions.
        may_drop: Whether their occurrences may be skipped or missed.
    """

    count: int
    func: str = "plain"
    seconds: float = 0
    every: float = 1
    at_most_once: bool = False
    options: tuple[tuple[str, Any], ...] = ()
    may_drop: bool = False


def project(
    folder: Path,
    store: Store,
    kinds: dict[str, Kind],
    *,
    phases: int = 20,
    **manager: Any,  # noqa: ANN401 - settings
) -> dict[str, Expected]:
    """Write a project full of tasks into *folder*; return what is to become of them.

    Args:
        folder: Empty.
        store: The database.
        kinds: What tasks, by the beginning of their ids.
        phases: Into so many equal parts the spacing is divided, each with its share of the tasks;
            with 0 all count from their registration.
        manager: More settings of the section.
    """
    base = (wall() // 1_000_000 + 2) * 1_000_000
    rows: list[dict[str, Any]] = []
    expected: dict[str, Expected] = {}
    for name, kind in kinds.items():
        every = round(kind.every * 1_000_000)
        for number in range(kind.count):
            start = base + len(rows) % phases * every // phases if phases else None
            task_id = f"{name}-{number}"
            rows.append(_row(task_id, kind, start))
            known = {"at_most_once": kind.at_most_once, "may_drop": kind.may_drop}
            expected[task_id] = Expected(start, every, **known)
    (folder / "workload.json").write_text(json.dumps(rows), encoding="utf-8")
    plugin_project(folder, store, PLUGIN, max_tasks=len(rows), **manager)
    return expected


def plugin_project(folder: Path, store: Store, plugin: str, **manager: Any) -> None:  # noqa: ANN401 - settings
    """Write a project of one plugin file into *folder*, with more settings of its section."""
    (folder / "load").mkdir(parents=True)
    (folder / "load" / "taskplugins.py").write_text(plugin, encoding="utf-8")
    settings = {
        "database": store.section(),
        "loggers": {"enable_file": False},
        "manager": {"tasks_directory": "load", **manager},
    }
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")


def definitions(file: str) -> list[dict[str, Any]]:
    """Return the definitions that ``project`` wrote, each with its function."""
    rows = json.loads(Path(file).read_text(encoding="utf-8"))
    return [{**row, "func": FUNCTIONS[row["func"]]} for row in rows]


def _row(task_id: str, kind: Kind, start: int | None) -> dict[str, Any]:
    begin = {} if start is None else {"start": _text(start)}
    return {
        "id": task_id,
        "name": task_id,
        "func": kind.func,
        "trigger": "interval",
        "trigger_args": {"seconds": kind.every},
        "enabled": True,
        "max_retries": 0,
        "timeout": 600,
        **begin,
        "kwargs": {"seconds": kind.seconds},
        "overlap": "allow",
        "catch_up": "all",
        "delivery": "at_most_once" if kind.at_most_once else "at_least_once",
        **dict(kind.options),
    }


def _text(instant: int) -> str:
    return (EPOCH + timedelta(microseconds=instant)).isoformat()


def running() -> RunContext:
    """Return the run that calls."""
    run = current_run()
    assert run is not None, "called outside a run"
    return run
