"""How tables and times are printed: in colour for a person, plain for a pipe."""

from __future__ import annotations

import shutil
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
_FOLDING: Final = frozenset({"trigger", "defined in", "plugin", "error", "value", "from"})
"""Columns whose cells may be folded in a terminal; what is copied out of the others stays whole."""
_FOLDED: Final = 20
_GAP: Final = 3
_INDENT: Final = "    "
_JOINED: Final = frozenset({"and", "or", "except"})
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
    "quarantined": "red",
    "failed": "red",
    "lost": "red",
    "missed": "yellow",
    "skipped": "yellow",
}


def print_json(value: object) -> None:
    """Print *value*, which may hold what is read, as JSON in UTF-8, indented for a terminal."""
    typer.echo(as_json(value, 2 if sys.stdout.isatty() else None))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, aligned plain text into a pipe or above 200 rows.

    On a terminal that is too narrow for a row of it, a row takes several lines, so that ids stay
    in one piece.
    """
    table = [[column.upper() for column in columns], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [list(range(len(columns)))]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        least = [_FOLDED if column in _FOLDING else 0 for column in columns]
        if _fits(widths, least, room):
            if len(rows) <= _FANCY_ROWS:
                _draw(columns, rows)
                return
        else:
            lines = _lines(widths, least, room)
    for row in table:
        for at_line, line in enumerate(lines):
            begin = _INDENT if at_line else ""
            cells = "  ".join(row[at].ljust(widths[at]) for at in line)
            if not at_line or cells.strip():
                typer.echo(f"{begin}{cells}".rstrip())


def _fits(widths: Sequence[int], least: Sequence[int], room: int) -> bool:
    """Tell whether a row has room where what may be folded is folded, and nothing else."""
    cells = (min(width, low or width) for width, low in zip(widths, least, strict=True))
    return sum(cells) + _GAP * len(widths) <= room


def _lines(widths: Sequence[int], least: Sequence[int], room: int) -> list[list[int]]:
    """Return which columns stand on which line of a row; a line has one at least."""
    found: list[list[int]] = [[]]
    used = 0
    for at, (width, low) in enumerate(zip(widths, least, strict=True)):
        if found[-1] and used + min(width, low or width) > room:
            found.append([])
            used = len(_INDENT)
        found[-1].append(at)
        used += width + len("  ")
    return found


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box  # noqa: PLC0415 - a pipe does not pay for it
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in _FOLDING)
    for row in rows:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    Console().print(table)


def clean(text: str) -> str:
    """Return *text* on one line without control characters, so that no row can be forged."""
    return "".join(each if each.isprintable() else " " for each in text)


def counted(number: int, noun: str, several: str | None = None) -> str:
    """Return ``1 task`` or ``4 tasks``, or *several* where it is not *noun* with an s."""
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


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
    """Return ``every 1 h 30 min``, ``once at 2026-12-25`` or ``cron 0 9 * * 1-5``.

    Triggers that are joined are told one by one: ``(cron hour=9) or (every 2 h)``.
    """
    if trigger in _JOINED:
        told = (
            trigger_text(each["trigger"], each["trigger_args"]) for each in arguments["triggers"]
        )
        return f" {trigger} ".join(f"({part})" for part in told)
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
