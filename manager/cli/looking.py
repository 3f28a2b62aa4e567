"""``list``, ``show`` and ``runs``: read the ledger; no container has to run."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from core.clock import SystemClock
from core.errors import TriggerError, UnknownTaskError
from core.registry import nearest
from core.run import RunState  # noqa: TC001 - typer reads the annotation
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import (
    clean,
    counted,
    moment,
    print_json,
    print_table,
    span_text,
    trigger_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configurations import Xcorecfg
    from manager.schemas.reading import RunRead, TaskRead
    from manager.storage.reading import Reading

NOTHING_YET: Final = "no container has run here yet; start one with 'taskrack run'"


def list_(*, config: ConfigPath = None, json: AsJson = False) -> None:
    """List the tasks with their status, last and next run."""
    from manager.task.access import spooled  # noqa: PLC0415 - help does not pay for it

    with reading_of(config) as (chosen, reading):
        if reading is None:
            _nothing(json=json)
            return
        tasks, plugins = reading.tasks(), reading.plugins()
        alive = reading.is_heard(SystemClock().now())
        waiting = spooled(chosen)
    if json:
        print_json(tasks)
    else:
        rows = [_task_row(task, chosen.timezone) for task in tasks]
        print_table(("task", "status", "last", "last run", "next run", "trigger", "plugin"), rows)
        if not alive:
            typer.echo("no container is running; the table shows the last known state")
        for name, count in waiting:
            verb = "waits" if count == 1 else "wait"
            typer.echo(f"{counted(count, 'outcome')} {verb} in {name}: the database refused them")
    for plugin in plugins:
        for problem in plugin.problems:
            typer.echo(f"plugin {plugin.name} {plugin.state}: {clean(str(problem))}", err=json)


def show(
    id: Annotated[str, typer.Argument(help="Id of a task or of a run.")],  # noqa: A002 - the word of the help
    *,
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """Show everything about one task, or about one run with its attempts."""
    with reading_of(config) as (chosen, reading):
        if reading is None:
            raise UnknownTaskError(id)
        tasks = reading.tasks(id)
        run = None if tasks else reading.run(id)
        if not tasks and run is None:
            raise UnknownTaskError(id, nearest(id, [task.id for task in reading.tasks()]))
        history = reading.runs(id, limit=10) if tasks else []
        opened = reading.evidence.breakers(*tasks[0].subjects) if tasks else ()
    found = tasks[0] if tasks else run
    shown: dict[str, Any] = {} if found is None else found.model_dump(mode="json")
    if json:
        print_json(shown | ({"breakers": opened, "runs": history} if tasks else {}))
        return
    for key, value in shown.items():
        _print_field(key, value)
        if tasks and key == "trigger_args":
            _print_field("schedule", _schedule(tasks[0]))
    for each in opened:
        at = moment(each.trial_at, chosen.timezone)
        told = f"{each.subject} is open after {each.failures} failures, one run may try at {at}"
        _print_field("breaker", told)
    if history:
        typer.echo("")
        print_table(_RUN_COLUMNS, [_run_row(each, chosen.timezone) for each in history])


def runs(
    task: Annotated[str | None, typer.Argument(help="Only runs of this task.")] = None,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000)] = 20,
    state: Annotated[RunState | None, typer.Option("--state", help="Only runs in it.")] = None,
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with reading_of(config) as (chosen, reading):
        if reading is None:
            _nothing(json=json)
            return
        found = reading.runs(task, state=state, limit=limit)
        if not found and task is not None and not reading.tasks(task):
            raise UnknownTaskError(task, nearest(task, [each.id for each in reading.tasks()]))
    if json:
        print_json([run.model_dump(mode="json", exclude={"attempts"}) for run in found])
    else:
        print_table(_RUN_COLUMNS, [_run_row(run, chosen.timezone) for run in found])


_RUN_COLUMNS = ("run", "task", "state", "reason", "cause", "attempt", "due", "took", "error")


@contextmanager
def reading_of(config: Any) -> Iterator[tuple[Xcorecfg, Reading | None]]:  # noqa: ANN401 - a path or None
    """Give the settings and the read model of their ledger, or ``None`` where there is none."""
    gc.disable()
    try:
        from manager.task.access import open_reading  # noqa: PLC0415 - help does not pay for it

        chosen = settings(config)
        with open_reading(chosen) as reading:
            yield chosen, reading
    finally:
        gc.freeze()  # what was made here lives until the command ends, a moment later
        gc.enable()


def _nothing(*, json: bool) -> None:
    if json:
        print_json([])
    typer.echo(NOTHING_YET, err=json)


def _task_row(task: TaskRead, zone: str) -> tuple[str, ...]:
    return (
        clean(task.id),
        task.status.value,
        task.last_status.value if task.last_status else "-",
        moment(task.last_run, zone),
        moment(task.next_run, zone),
        clean(trigger_text(task.trigger, task.trigger_args)),
        clean(task.plugin),
    )


def _run_row(run: RunRead, zone: str) -> tuple[str, ...]:
    took = "-"
    if run.started_at is not None and run.finished_at is not None:
        took = span_text(run.finished_at - run.started_at)
    return (
        run.id,
        clean(run.task_id),
        run.state.value,
        run.reason.value if run.reason else "-",
        run.cause.value,
        str(run.attempt),
        moment(run.scheduled_for, zone),
        took,
        clean(run.error or "")[:120],
    )


def _schedule(task: TaskRead) -> str:
    """Return when a task is due, in words; what another release wrote may have none here."""
    from manager.scheduling import describe  # noqa: PLC0415 - the other verbs do not pay for it

    try:
        dst = str(task.options.get("dst", "once"))
        arguments = (task.trigger, task.trigger_args, task.timezone)
        return describe(*arguments, dst=dst, options=task.options)
    except TriggerError:
        return trigger_text(task.trigger, task.trigger_args)


def _print_field(key: str, value: Any) -> None:  # noqa: ANN401 - JSON is any
    if isinstance(value, str) and "\n" in value:
        typer.echo(f"{key}:")
        for line in value.splitlines():
            typer.echo(f"    {clean(line)}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        typer.echo(f"{key}:")
        for item in value:
            typer.echo("  - " + clean(", ".join(f"{name}={each}" for name, each in item.items())))
    else:
        typer.echo(f"{key}: {clean(str(value))}")
