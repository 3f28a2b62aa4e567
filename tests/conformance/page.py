"""Writes ``docs/cron.md`` from the matrix and the corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.conformance.matrix import ENGINES, MATRIX, MatrixRow, Probe
from tests.conformance.rows import rows

PAGE: Final = Path(__file__).parents[2] / "docs" / "cron.md"
_TEXT: Final = """\
# Cron, held against a clock

What cron strings mean here, beside what other engines make of them, and the tests that show it.
How to write them is told in [Tasks](tasks.md#cron). Written by `python -m tests.conformance`.

## The matrix

Thirteen engines for background tasks in Python were asked the same questions, each in its own
loop, in the autumn of 2026: {names}.
The zone is America/New_York in 2026, where 8 March has no 02:30 and 1 November has 01:30 twice.
The last column but one says how many of them answer as expected; a schedule that runs on another
day, never, or only in UTC is not as expected. Each row is a test in
`tests/conformance/test_matrix.py`.

| asked | schedule | expected | of 13 engines | test |
|---|---|---|---|---|
{matrix}
The hash that spreads tasks over an hour, `H`, is not read by any of them, nor here.

## Beside APScheduler's own trigger

APScheduler calls back at the instants, but does not choose them here. Its own `CronTrigger`,
asked for a task at midnight, leaves out a night in spring, and runs a fixed time twice where an
hour comes twice. `tests/conformance/test_apscheduler.py` shows both, and what is due here
instead.

## The corpus

`tests/conformance/corpus.tsv` holds {rows} rows for {zones} zones: {cron} cron strings and
{fields} sets of fields, each with an instant from which on is asked, a choice of `dst`, and the
first occurrences after it. The occurrences come from an oracle that asks every instant what the
clock on the wall shows, and shares nothing with the code that it is held against. Clocks are set
by hours, by half and quarter hours, at midnight, over midnight, and over a whole day. A line can
be read by itself, and by other programs: the columns are separated by tabs, instants are UTC.

## Every zone

For every zone and each of its changes from 1970 to 2037, `tests/conformance/test_every_zone.py`
shows that a daily task at 00:00, 00:30, 01:30, 02:30 and 03:00 runs exactly once on each local
date that exists, and that `*/30` runs at exactly the instants that show minute 0 or 30.
"""


def page() -> str:
    """Return the page as Markdown."""
    questions = [row.question for row in rows()]
    dialects = [question.dialect for question in questions]
    return _TEXT.format(
        names=", ".join(ENGINES),
        matrix="".join(map(_line, MATRIX)),
        rows=f"{len(questions):,}",
        zones=len({question.zone for question in questions}),
        cron=f"{dialects.count('cron'):,}",
        fields=f"{dialects.count('fields'):,}",
    )


def _line(row: MatrixRow) -> str:
    schedules = ", ".join(f"`{probe.schedule}`" for probe in row.probes)
    expected = row.expected + _when(row)
    return f"| {row.asked} | {schedules} | {expected} | {row.passing} | `{row.name}` |\n"


def _when(row: MatrixRow) -> str:
    """Return the one instant that a row is about, if it is about one."""
    probe = row.probes[0]
    if len(row.probes) > 1 or not isinstance(probe, Probe) or isinstance(probe.due, int):
        return ""
    return f": {probe.due[0]}" if len(probe.due) == 1 else ""
