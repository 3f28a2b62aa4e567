"""The matrix: what thirteen engines of the field were asked about cron strings and clock changes.

Each row is asked of this one, too, by the test of its name, and shown in ``docs/cron.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ENGINES: Final = (
    "APScheduler 3.11", "APScheduler 4.0 alpha", "Celery 5.7", "Huey 3.5", "RQ 2.12",
    "periodiq 0.14", "Taskiq 0.13", "SAQ 0.26", "streaQ 7.2", "Procrastinate 3.10",
    "Oban for Python 0.7", "DBOS 3.4", "docket",
)  # fmt: skip
_YORK: Final = "America/New_York"


@dataclass(frozen=True, slots=True)
class Probe:
    """A cron string, and when it is due in a stretch of local time.

    Attributes:
        schedule: The cron string.
        start: Local start of the stretch, left out itself unless something is due there.
        end: Local end of the stretch, left out itself.
        due: The local times, or how many there are.
        zone: IANA name.
    """

    schedule: str
    start: str
    end: str
    due: tuple[str, ...] | int
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is not taken for a schedule.

    Attributes:
        schedule: The text.
        said: A part of the error.
    """

    schedule: str
    said: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One thing that was asked.

    Attributes:
        name: The id of its test.
        asked: What was asked, in words.
        expected: The answer, in words.
        probes: What shows it.
        passing: How many of the thirteen engines answer so.
    """

    name: str
    asked: str
    expected: str
    probes: tuple[Probe | Refusal, ...]
    passing: int


def _days(schedule: str, start: str, end: str, *days: str, at: str = "09:00:00") -> Probe:
    return Probe(schedule, start, end, tuple(f"{day} {at}" for day in days))


MATRIX: Final = (
    MatrixRow(
        "gap-once",
        "a fixed time that falls into the gap",
        "due once, here at the first instant after the gap",
        (Probe("30 2 * * *", "2026-03-08", "2026-03-09", ("2026-03-08 03:00:00 EDT",), _YORK),),
        7,
    ),
    MatrixRow(
        "overlap-once",
        "a fixed time in the hour that comes twice",
        "due once, in the first pass",
        (Probe("30 1 * * *", "2026-11-01", "2026-11-02", ("2026-11-01 01:30:00 EDT",), _YORK),),
        3,
    ),
    MatrixRow(
        "overlap-wildcard",
        "every half hour on the day of 25 hours",
        "due 50 times, without a hole",
        (Probe("*/30 * * * *", "2026-11-01", "2026-11-02", 50, _YORK),),
        9,
    ),
    MatrixRow(
        "sunday-is-0",
        "0 as the weekday",
        "Sunday",
        (_days("0 9 * * 0", "2026-02-01", "2026-02-15", "2026-02-01", "2026-02-08"),),
        11,
    ),
    MatrixRow(
        "sunday-is-7",
        "7 as the weekday",
        "Sunday",
        (_days("0 9 * * 7", "2026-02-01", "2026-02-15", "2026-02-01", "2026-02-08"),),
        10,
    ),
    MatrixRow(
        "monday-to-friday",
        "1-5 as the weekdays",
        "Monday to Friday",
        (
            _days(
                "0 9 * * 1-5", "2026-02-01", "2026-02-08",
                "2026-02-02", "2026-02-03", "2026-02-04", "2026-02-05", "2026-02-06",
            ),
        ),
        12,
    ),
    MatrixRow(
        "day-or-weekday",
        "a day of the month and a weekday",
        "either of them",
        (
            _days(
                "0 0 13 * 5", "2026-01-08", "2026-01-24",
                "2026-01-09", "2026-01-13", "2026-01-16", "2026-01-23", at="00:00:00",
            ),
        ),
        7,
    ),
    MatrixRow(
        "daily-by-name",
        "a name instead of fields",
        "midnight of each day",
        (
            _days(
                "@daily", "2026-02-27", "2026-03-02",
                "2026-02-27", "2026-02-28", "2026-03-01", at="00:00:00",
            ),
        ),
        8,
    ),
    MatrixRow(
        "seconds-first",
        "six fields",
        "the first is the second",
        (_days("30 0 8 * * *", "2026-02-01", "2026-02-02", "2026-02-01", at="08:00:30"),),
        2,
    ),
    MatrixRow(
        "every-ten-seconds",
        "every ten seconds",
        "six times in a minute",
        (Probe("*/10 * * * * *", "2026-02-01 00:00", "2026-02-01 00:01", 6),),
        2,
    ),
    MatrixRow(
        "last-day",
        "L as the day of the month",
        "the last day",
        (
            _days(
                "0 9 L * *", "2028-01-01", "2028-05-01",
                "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30",
            ),
        ),
        6,
    ),
    MatrixRow(
        "second-monday",
        "1#2 as the weekday",
        "the second Monday",
        (
            _days(
                "0 9 * * 1#2", "2026-01-01", "2026-04-01", "2026-01-12", "2026-02-09", "2026-03-09"
            ),
        ),
        5,
    ),
    MatrixRow(
        "nearest-weekday",
        "18W as the day of the month",
        "the day from Monday to Friday nearest to it",
        (
            _days(
                "0 9 18W * *", "2026-01-01", "2026-05-01",
                "2026-01-19", "2026-02-18", "2026-03-18", "2026-04-17",
            ),
        ),
        4,
    ),
    MatrixRow(
        "last-weekday",
        "LW as the day, 5L as the weekday",
        "the last day from Monday to Friday; the last Friday",
        (
            _days("0 9 LW * *", "2026-01-01", "2026-03-01", "2026-01-30", "2026-02-27"),
            _days("0 9 * * 5L", "2026-01-01", "2026-03-01", "2026-01-30", "2026-02-27"),
        ),
        1,
    ),
    MatrixRow(
        "hours-over-midnight",
        "a range that goes round",
        "the hours from 22 to 2",
        (
            Probe(
                "0 22-2 * * *", "2026-02-01 12:00", "2026-02-02 12:00",
                (
                    "2026-02-01 22:00:00", "2026-02-01 23:00:00", "2026-02-02 00:00:00",
                    "2026-02-02 01:00:00", "2026-02-02 02:00:00",
                ),
            ),
        ),
        6,
    ),
    MatrixRow(
        "weekday-names",
        "names of weekdays, in any case",
        "Monday to Friday",
        (
            _days(
                "0 9 * * mon-fri", "2026-02-05", "2026-02-10",
                "2026-02-05", "2026-02-06", "2026-02-09",
            ),
            _days(
                "0 9 * * MON-Fri", "2026-02-05", "2026-02-10",
                "2026-02-05", "2026-02-06", "2026-02-09",
            ),
        ),
        11,
    ),
    MatrixRow(
        "impossible-date",
        "a date that no calendar has",
        "refused where it is defined",
        (Refusal("0 0 30 2 *", "it can never fire"),),
        2,
    ),
    MatrixRow(
        "zone-in-front",
        "a zone in front; a hash instead of a number",
        "the zone counts; the hash is refused where it is defined, not read as something else",
        (
            Probe(
                "CRON_TZ=Europe/Berlin 0 9 * * *", "2026-02-01", "2026-02-02",
                ("2026-02-01 08:00:00",),
            ),
            Refusal("H 2 * * *", "minute: expected 0-59, got 'H'"),
        ),
        0,
    ),
)  # fmt: skip
