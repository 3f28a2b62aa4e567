"""``run`` and ``check``."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import typer

from core.clock import SystemClock
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import clean, moment, print_json, print_table, trigger_text

if TYPE_CHECKING:
    from types import FrameType

    from manager.container import Manager
    from manager.schemas.reading import TaskRead
    from manager.task.inspection import Inspection


def run(*, config: ConfigPath = None) -> None:
    """Run the container until Ctrl-C or SIGTERM; a second one hastens the end."""
    from manager.container import Manager  # noqa: PLC0415 - other verbs start without the engine
    from manager.task.assembly import own_logging  # noqa: PLC0415 - the same

    chosen = settings(config)
    own_logging(chosen, force=True)
    manager = Manager(chosen)
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if ended.is_set():
            manager.task_manager.hurry()
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    manager.start()
    try:
        _greet(manager, chosen.timezone)
        ended.wait()
        typer.echo("stopping: running tasks may finish; Ctrl-C again hastens it", err=True)
    finally:
        manager.shutdown()


def check(*, config: ConfigPath = None, json: AsJson = False) -> None:
    """Validate settings and plugins without starting; exit 1 if anything is wrong."""
    from manager.container import Manager, plugins_of  # noqa: PLC0415 - as for run
    from manager.task.access import build_ledger  # noqa: PLC0415 - the same
    from manager.task.inspection import inspect  # noqa: PLC0415 - the same

    chosen = settings(config)
    build_ledger(chosen)  # refuses a URL that a start would refuse; opens nothing
    manager = Manager(chosen, default=False)
    found = inspect(chosen, plugins_of(chosen), manager.task_manager, SystemClock())
    hints = [f"{chosen.source or 'settings'}: {hint}" for hint in chosen.hints()]
    if json:
        print_json(_as_json(found, hints))
    else:
        _tell(found, hints, chosen.timezone)
    if not found.is_sound:
        raise typer.Exit(1)


def _greet(manager: Manager, zone: str) -> None:
    tasks: list[TaskRead] = manager.task_manager.list_tasks()
    rows = [
        (
            clean(task.id),
            task.status.value,
            moment(task.next_run, zone),
            clean(trigger_text(task.trigger, task.trigger_args)),
        )
        for task in tasks
    ]
    print_table(("task", "status", "next run", "trigger"), rows)
    noun = "task" if len(tasks) == 1 else "tasks"
    typer.echo(f"{len(tasks)} {noun} in {manager.task_manager.ledger.label}; Ctrl-C ends")


def _tell(found: Inspection, hints: list[str], zone: str) -> None:
    rows = [
        (
            clean(definition.id),
            "enabled" if definition.enabled else "disabled",
            moment(due, zone),
            clean(trigger_text(definition.trigger, definition.trigger_args)),
            clean(definition.source),
        )
        for definition, due in found.tasks
    ]
    print_table(("task", "state", "next run", "trigger", "defined in"), rows)
    for hint in hints:
        typer.echo(f"hint: {clean(hint)}", err=True)
    problems = [problem for plugin in found.plugins for problem in plugin.problems]
    for problem in problems:
        typer.echo(clean(str(problem)), err=True)
    count = len(problems)
    verdict = "all is in order" if not count else f"{count} problem{'s' if count > 1 else ''}"
    typer.echo(f"{len(found.tasks)} tasks, {len(found.plugins)} plugins: {verdict}")


def _as_json(found: Inspection, hints: list[str]) -> dict[str, Any]:
    return {
        "ok": found.is_sound,
        "tasks": [
            {
                "id": definition.id,
                "source": definition.source,
                "enabled": definition.enabled,
                "next_run": None if due is None else due.isoformat(),
            }
            for definition, due in found.tasks
        ],
        "plugins": found.plugins,
        "hints": hints,
    }
