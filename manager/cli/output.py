"""How tables and times are printed: in colour for a person, plain for a pipe."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import typer

from core.clock import SystemClock
from manager.schemas.reading import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_FANCY_ROWS: Final = 200
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
COLOURS: Final[Mapping[str, str]] = {
    "completed": "green",
    "running": "cyan",
    "scheduled": "green",
    "retrying": "yellow",
    "paused": "yellow",
    "disabled": "bright_black",
    "finished": "bright_black",
    "unbound": "red",
    "failed": "red",
    "lost": "red",
    "missed": "yellow",
    "skipped": "yellow",
}


def print_json(value: object) -> None:
    """Print *value*, which may hold what is read, as JSON in UTF-8, indented for a terminal."""
    typer.echo(as_json(value, 2 if sys.stdout.isatty() else None))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, aligned plain text into a pipe or above 200 rows."""
    if sys.stdout.isatty() and len(rows) <= _FANCY_ROWS:
        _draw(columns, rows)
        return
    table = [[column.upper() for column in columns], *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(columns))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box  # noqa: PLC0415 - a pipe does not pay for it
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    Console().print(table)


def clean(text: str) -> str:
    """Return *text* on one line without control characters, so that no row can be forged."""
    return "".join(each if each.isprintable() else " " for each in text)


def counted(number: int, noun: str) -> str:
    """Return ``1 task`` or ``4 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(instant: datetime | None, zone: str) -> str:
    """Return *instant* in *zone* with its distance from now, or a dash."""
    if instant is None:
        return "-"
    local = instant.astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d %H:%M:%S %Z} ({distance(instant - SystemClock().now())})"


def distance(span: timedelta) -> str:
    """Return ``in 4 min`` or ``3 h ago``, in the largest unit that fits."""
    size = span_text(abs(span))
    return f"in {size}" if span > timedelta(0) else f"{size} ago"


def span_text(span: timedelta) -> str:
    """Return a span in the largest unit that fits, such as ``4 min`` or ``0.2 s``."""
    seconds = span.total_seconds()
    for name, length in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.1f} s"


def trigger_text(trigger: str, arguments: Mapping[str, Any]) -> str:
    """Return ``every 1 h 30 min``, ``once at 2026-12-25`` or ``cron 0 9 * * 1-5``."""
    if trigger == "interval":
        words = {"weeks": "w", "days": "d", "hours": "h", "minutes": "min", "seconds": "s"}
        parts = [
            f"{arguments[unit]:g} {word}" for unit, word in words.items() if arguments.get(unit)
        ]
        return f"every {' '.join(parts)}"
    if "expression" in arguments:
        return f"{trigger} {arguments['expression']}"
    if trigger == "date":
        return f"once at {arguments.get('run_date')}"
    return " ".join([trigger, *(f"{name}={value}" for name, value in arguments.items())])
