"""``verify``: the ledger held against what always holds of it."""

from __future__ import annotations

import typer

from core.clock import SystemClock
from manager.cli.looking import NOTHING_YET, reading_of
from manager.cli.options import AsJson, ConfigPath  # noqa: TC001 - typer reads the annotations
from manager.cli.output import clean, counted, print_json
from manager.schemas.verification import VerificationRead


def verify(*, config: ConfigPath = None, json: AsJson = False) -> None:
    """Hold the ledger, in use or not, against its invariants; exit 1 on a breach."""
    with reading_of(config) as (_, reading):
        if reading is None:
            typer.echo(NOTHING_YET, err=json)
            if json:
                print_json(VerificationRead.nothing(SystemClock().now()))
            return
        from manager.verifying import Verifier  # noqa: PLC0415 - triggers cost a start

        found = Verifier(reading, SystemClock()).verify()
    if json:
        print_json(found)
    else:
        _tell(found)
    if not found.ok:
        raise typer.Exit(1)


def _tell(found: VerificationRead) -> None:
    for each in found.checked:
        verdict = counted(each.breaches, "breach", "breaches") if each.breaches else "holds"
        typer.echo(f"{each.id:>3} {verdict}: {each.sentence}")
    for breach in found.breaches:
        where = breach.task_id if breach.run_id is None else f"{breach.task_id}, {breach.run_id}"
        text = f"{breach.invariant}: {where}: expected {breach.expected}, found {breach.found}"
        typer.echo(clean(text))
    for note in found.notes:
        typer.echo(clean(f"note: {note}"))
    parts = (
        counted(found.tasks, "task"),
        counted(found.runs, "run"),
        counted(found.attempts, "attempt"),
    )
    verdict = "all is in order" if found.ok else counted(len(found.breaches), "breach", "breaches")
    typer.echo(f"{', '.join(parts)} in {found.seconds:.1f} s: {verdict}")
