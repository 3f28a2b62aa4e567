"""How one record looks as a line: text for people, JSON for programs.

Both are safe to show: control characters are made visible, so that a message can neither drive
a terminal nor pass for a line of its own. The traceback keeps its line breaks.
"""

from __future__ import annotations

import json
import math
import re
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from loguru import Record

CONTINUATION: Final = "    "
_RESET: Final = "\x1b[0m"
_COLORS: Final = (  # the highest level that a record reaches decides
    (50, "\x1b[31;47m"),
    (40, "\x1b[31m"),
    (30, "\x1b[33m"),
    (20, "\x1b[32m"),
    (0, "\x1b[36m"),
)
# C0 and C1 controls but tab and newline, line separators, direction overrides, lone surrogates.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]",
)
_FIXED: Final = ("timestamp", "level", "logger", "message", "source", "exception")


@dataclass(frozen=True, slots=True)
class Line:
    """What a sink needs to know of a record."""

    time: datetime
    level: str
    level_no: int
    name: str
    message: str
    source: str
    exception: str = ""
    extra: Mapping[str, object] = field(default_factory=dict)


def line_of(record: Record) -> Line:
    """Return the line of a loguru record; its traceback never shows the values of variables."""
    caught = record["exception"]
    trace = ""
    if caught is not None and caught.value is not None:
        trace = "".join(traceback.format_exception(caught.type, caught.value, caught.traceback))
    return Line(
        time=record["time"],
        level=record["level"].name,
        level_no=record["level"].no,
        name=record["name"] or "",
        message=record["message"],
        source=f"{record['file'].name}:{record['line']}",
        exception=trace,
        extra=record["extra"],
    )


def as_text(line: Line, *, colored: bool) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS | LEVEL    | name | [task attempt] message`` and a newline.

    The part in brackets is there inside a run only. A message of several lines keeps them; all
    but the first are indented by four spaces. The traceback follows as Python prints it.
    """
    level = f"{_on_one_line(line.level):<8}"
    if colored:
        code = next(code for least, code in _COLORS if line.level_no >= least)
        level = f"{code}{level}{_RESET}"
    message = _visible(line.message.rstrip("\n")).replace("\n", f"\n{CONTINUATION}")
    trace = _visible(line.exception)
    stamp = f"{line.time:%Y-%m-%d %H:%M:%S}"
    return (
        f"{stamp} | {level} | {_on_one_line(line.name)} | {_run_of(line.extra)}{message}\n{trace}"
    )


def as_json(line: Line) -> str:
    """Return one JSON object and a newline.

    The keys are flat: ``timestamp`` (ISO 8601 with offset), ``level``, ``logger``, ``message``
    and ``source`` (``file:line``) always; ``exception``, ``task_id``, ``run_id``, ``attempt`` and
    other bound values where there are any. A bound value that is no text, number or truth value
    is written as its text.
    """
    values: dict[str, object] = {
        "timestamp": line.time.isoformat(timespec="milliseconds"),
        "level": line.level,
        "logger": line.name,
        "message": line.message,
        "source": line.source,
    }
    if line.exception:
        values["exception"] = line.exception
    for key, value in line.extra.items():
        if key not in _FIXED:
            values[key] = _plain(value)
    # Outside its strings JSON has no such character, so an escape is always in its place.
    return _UNSAFE.sub(_json_escape, json.dumps(values, ensure_ascii=False)) + "\n"


def _run_of(extra: Mapping[str, object]) -> str:
    """Return the task (else the run) and the attempt in brackets, or nothing."""
    subject = extra.get("task_id", extra.get("run_id"))
    parts = [str(part) for part in (subject, extra.get("attempt")) if part is not None]
    return f"[{_on_one_line(' '.join(parts))}] " if parts else ""


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)


def _visible(text: str) -> str:
    return _UNSAFE.sub(_escape, text)


def _on_one_line(text: str) -> str:
    return _visible(text).replace("\n", "\\n")


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
