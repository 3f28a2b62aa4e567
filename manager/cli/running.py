"""``run`` and ``check``."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import typer

from core.clock import SystemClock
from core.hookspecs import hookimpl
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import clean, counted, moment, print_json, print_table, trigger_text
from manager.cli.signals import Signals

if TYPE_CHECKING:
    from manager.task.inspection import Inspection
    from manager.task.taskmanager import TaskManager


_SHOWN: Final = 500
"""So many tasks are shown at a start; nobody reads more, and what is due does not wait for it."""


def run(*, config: ConfigPath = None) -> None:
    """Run the container until Ctrl-C or SIGTERM; a second hastens the end, a third forces it."""
    from manager.container import Manager  # noqa: PLC0415 - other verbs start without the engine
    from manager.task.assembly import own_logging  # noqa: PLC0415 - the same

    chosen = settings(config)
    own_logging(chosen, force=True)
    manager = Manager(chosen)
    grace = timedelta(seconds=chosen.manager.shutdown_grace)
    signals = Signals(grace, manager.task_manager.hurry)
    manager.add_plugin(_Greeting(chosen.timezone), "command line")
    manager.start()
    try:
        signals.wait()
        with suppress(OSError):  # the terminal may be gone
            typer.echo("stopping: running tasks may finish; Ctrl-C again hastens it", err=True)
    finally:
        manager.shutdown(0 if signals.are_hasty else None)
    signals.leave()


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


class _Greeting:
    """Shows the tasks when all is bound and nothing has been started yet."""

    def __init__(self, zone: str) -> None:
        self._zone = zone

    @hookimpl
    def taskrack_ready(self, task_manager: TaskManager) -> None:
        """Print the table of tasks with their next runs; of very many, only how many there are."""
        count, place = task_manager.health().tasks, f"in {task_manager.ledger.label}; Ctrl-C ends"
        if count > _SHOWN:
            place = f"{place}; 'taskrack list' shows them"
        else:
            count = self._show(task_manager)
        typer.echo(f"{counted(count, 'task')} {place}")
        sys.stdout.flush()

    def _show(self, task_manager: TaskManager) -> int:
        """Print the table, and return how many tasks there are, with those of the ledger alone."""
        tasks = task_manager.list_tasks()
        rows = [
            (
                clean(task.id),
                task.status.value,
                moment(task.next_run, self._zone),
                clean(trigger_text(task.trigger, task.trigger_args)),
            )
            for task in tasks
        ]
        print_table(("task", "status", "next run", "trigger"), rows)
        return len(rows)


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
    verdict = counted(count, "problem") if count else "all is in order"
    parts = (counted(len(found.tasks), "task"), counted(len(found.plugins), "plugin"))
    typer.echo(f"{', '.join(parts)}: {verdict}")


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
