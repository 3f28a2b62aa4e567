"""A forecast as iCalendar, which calendars on desks and phones show (RFC 5545)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from manager.schemas.foretelling import Forecast

_OCTETS: Final = 75
_CLASS, _CONTINUED = 0xC0, 0x80  # of an octet inside a character of UTF-8
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"}
    | {chr(each): " " for each in [*range(10), *range(11, 32), 127]}
)


def calendar_of(forecast: Forecast, stamp: datetime, names: Mapping[str, str]) -> bytes:
    """Return an event for every run of *forecast*, in UTC, with stable identities.

    A run is an instant, so its event has no length. Two forecasts name the same run alike: a
    calendar that takes both in shows it once.

    Args:
        forecast: What is to come.
        stamp: When it was made.
        names: What people read, by task.
    """
    lines = _lines(forecast, stamp, names)
    return b"".join(_folded(line) for line in lines)


def _lines(forecast: Forecast, stamp: datetime, names: Mapping[str, str]) -> Iterator[str]:
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//taskrack//forecast//EN")
    made = _instant(stamp)
    for run in forecast.runs:
        yield "BEGIN:VEVENT"
        yield f"UID:{_text(run.task_id)}/{run.at:%Y%m%dT%H%M%S.%fZ}@taskrack"
        yield f"DTSTAMP:{made}"
        yield f"DTSTART:{_instant(run.at)}"
        yield f"SUMMARY:{_text(names.get(run.task_id) or run.task_id)}"
        yield f"DESCRIPTION:{_text(f'task {run.task_id}, due at {run.local}')}"
        yield "TRANSP:TRANSPARENT"
        yield "END:VEVENT"
    yield "END:VCALENDAR"


def _instant(instant: datetime) -> str:
    return f"{instant:%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    return value.replace("\r\n", "\n").translate(_ESCAPES)


def _folded(line: str) -> bytes:
    """Return a line of at most 75 octets, continued on further ones; no character is cut."""
    octets = line.encode(errors="replace")
    pieces: list[bytes] = []
    limit = _OCTETS
    while len(octets) > limit:
        cut = limit
        while octets[cut] & _CLASS == _CONTINUED:
            cut -= 1
        pieces.append(octets[:cut])
        octets, limit = octets[cut:], _OCTETS - 1  # the blank that continues counts
    return b"\r\n ".join([*pieces, octets]) + b"\r\n"
