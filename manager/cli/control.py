"""``run-now``, ``pause``, ``resume``, ``backfill``: orders through the ledger, soon heard."""

from __future__ import annotations

import getpass
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final
from zoneinfo import ZoneInfo

import typer

from core.clock import SystemClock
from core.run import RunState
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import clean, counted, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from manager.schemas.reading import RunRead, TaskRead
    from manager.task.control import Control

_POLL: Final = timedelta(milliseconds=100)

TaskId = Annotated[str, typer.Argument(help="Id of a task, as listed.")]


def run_now(
    task: TaskId,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run has ended.")] = False,
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """Run a task now, beside its schedule; with --wait, exit 1 unless it completed."""
    with _control(config) as control:
        run = control.run_now(task)
        alive = control.is_heard
        if wait:
            run = _ended(control, run.id)
    if json:
        print_json(run)
    else:
        typer.echo(f"{clean(task)}: run {run.id} {run.state.value}")
        if run.error:
            typer.echo(clean(run.error), err=True)
        if not alive:
            typer.echo("no container is running; the run starts when one does", err=True)
    if wait and run.state is not RunState.COMPLETED:
        raise typer.Exit(1)


def pause(task: TaskId, *, config: ConfigPath = None, json: AsJson = False) -> None:
    """Let no occurrence of a task start until it is resumed; outlives restarts."""
    _set_pause(task, config, json=json, paused=True)


def resume(task: TaskId, *, config: ConfigPath = None, json: AsJson = False) -> None:
    """Let a paused or quarantined task go on; what passed meanwhile is recorded as skipped."""
    _set_pause(task, config, json=json, paused=False)


def backfill(
    task: TaskId,
    *,
    since: Annotated[
        datetime, typer.Option("--from", help="Local time of the task's zone; included.")
    ],
    until: Annotated[
        datetime, typer.Option("--to", help="Local time of the task's zone; included.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would run.")] = False,
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """Run every occurrence of a range of the past that never ran."""
    with _control(config) as control:
        zone = ZoneInfo(control.task(task).timezone)
        try:
            start, end = (each.replace(tzinfo=zone).astimezone(UTC) for each in (since, until))
        except OverflowError:
            raise typer.BadParameter("the range reaches beyond the calendar") from None
        found = control.backfill(task, start, end, dry_run=dry_run)
        alive = control.is_heard
    if json:
        print_json(found)
        return
    rows = [(f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}",) for at in found.runs]
    if rows:
        print_table(("would run" if dry_run else "runs",), rows)
    verb = "would be added" if dry_run else "added"
    runs, left = counted(len(rows), "run"), counted(found.left, "occurrence")
    typer.echo(f"{clean(task)}: {runs} {verb}; {left} of the range ran already, or will")
    if rows and not dry_run and not alive:
        typer.echo("no container is running; the runs start when one does", err=True)


def _set_pause(task: str, config: ConfigPath, *, json: bool, paused: bool) -> None:
    with _control(config) as control:
        found: TaskRead = control.pause(task, paused=paused)
    if json:
        print_json(found)
    else:
        typer.echo(f"{clean(task)}: {'paused' if paused else 'resumed'}")


@contextmanager
def _control(config: Path | None) -> Iterator[Control]:
    from manager.task.access import open_control  # noqa: PLC0415 - help does not pay for a database

    with open_control(settings(config), SystemClock(), _actor()) as control:
        yield control


def _ended(control: Control, run_id: str) -> RunRead:
    never, clock = threading.Event(), SystemClock()
    run = control.run(run_id)
    while not run.state.is_final:
        clock.wait(never, _POLL)
        run = control.run(run_id)
    return run


def _actor() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"
