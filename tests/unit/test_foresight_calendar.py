"""Lines of a calendar: folded at 75 octets, never inside a character, and escaped."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from manager.foresight.calendarfile import calendar_of
from manager.schemas.foretelling import Forecast, ForecastRun

AT = datetime(2026, 10, 25, 0, 30, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize("length", range(60, 80))
@pytest.mark.parametrize("letter", ["a", "ß", "€", "😀", "\\", ";"], ids=str.encode)
def test_a_name_of_any_length_survives_its_folding(length: int, letter: str) -> None:
    """Unfolded and unescaped it is the name; a line break in it starts no new property."""
    name = letter * length + "\r\nEND:VCALENDAR\x07"
    run = ForecastRun(task_id="t", at=AT, local="2026-10-25T02:30:00.250000+02:00")
    forecast = Forecast(start=AT, end=AT, runs=(run,), overlaps=(), peaks=(), load=None, notes=())
    made = calendar_of(forecast, AT, {"t": name})
    lines = made.split(b"\r\n")
    assert all(len(line) <= 75 and line.decode() is not None for line in lines)
    unfolded = made.replace(b"\r\n ", b"").decode().split("\r\n")
    (summary,) = (line for line in unfolded if line.startswith("SUMMARY:"))
    shown = letter if letter not in "\\;" else f"\\{letter}"
    assert summary == f"SUMMARY:{shown * length}\\nEND:VCALENDAR "
    assert "UID:t/20261025T003000.250000Z@taskrack" in unfolded
    assert unfolded.count("END:VCALENDAR") == 1
