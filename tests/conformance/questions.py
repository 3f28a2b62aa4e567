"""What the corpus asks: every feature on ordinary and odd days, and every kind of clock change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from tests.conformance import features
from tests.conformance.rows import CRON, FIELDS, Question
from tests.conformance.zones import Change, changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEED: Final = 20260308
_MODES: Final = ("once", "both", "skip")
_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SETTLED: Final = 2026  # later changes are forecasts, and governments think again
_BY_MINUTE: Final = 13
_BY_SECOND: Final = 2
_AT_RANDOM: Final = 450

ZONES: Final = (
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York",
    "America/St_Johns", "America/Havana", "America/Sao_Paulo", "America/Santiago",
    "America/Caracas", "America/Nuuk",
    "America/Goose_Bay", "America/Asuncion", "America/Scoresbysund", "Atlantic/Azores",
    "Africa/Casablanca", "Africa/Cairo", "Africa/Juba", "Asia/Tehran", "Asia/Kathmandu",
    "Asia/Beirut", "Asia/Amman", "Asia/Gaza", "Asia/Pyongyang", "Asia/Kolkata", "Asia/Ulaanbaatar",
    "Australia/Lord_Howe", "Australia/Sydney", "Australia/Eucla", "Antarctica/Troll",
    "Antarctica/Casey", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Kwajalein",
    "Pacific/Chatham", "Pacific/Auckland", "Pacific/Norfolk",
)  # fmt: skip
_OLD: Final = {
    # the years in which something happened that later changes of these zones do not show
    "America/St_Johns": (2006,),  # at one minute past midnight: an evening comes again
    "America/Goose_Bay": (1988, 2010),  # by two hours
    "Pacific/Apia": (2011,),  # without 30 December
    "Pacific/Kiritimati": (1979, 1995),  # without 31 December 1994
    "Pacific/Kwajalein": (1993,),  # without 21 August
    "Asia/Kathmandu": (1986,),  # by a quarter of an hour
    "Africa/Monrovia": (1972,),  # by three quarters and thirty seconds
    "Asia/Pyongyang": (2015, 2018),  # from half past eleven to midnight
    "Antarctica/Casey": (2010, 2018),
    "Australia/Eucla": (2008, 2009),
}
_ORDINARY: Final = (
    datetime(2018, 1, 1, tzinfo=UTC),
    datetime(2018, 6, 14, 22, 59, 30, tzinfo=UTC),
    datetime(2019, 12, 31, 22, 30, tzinfo=UTC),
    datetime(2016, 2, 28, 11, 59, 59, tzinfo=UTC),
    datetime(2015, 2, 28, 23, 0, tzinfo=UTC),
    datetime(2018, 11, 29, 17, 0, 1, tzinfo=UTC),
    datetime(2020, 12, 30, 5, 0, tzinfo=UTC),
)


def questions() -> list[Question]:
    """Return every question, each once, in an order that keeps a zone together."""
    draw = Random(_SEED)  # noqa: S311 - rows to be drawn again, not secrets
    found = [*_of_features(draw), *_of_changes(draw), *_at_random(draw)]
    return sorted(dict.fromkeys(found), key=lambda each: (each.zone, each.start, str(each)))


def _of_features(draw: Random) -> Iterator[Question]:
    """Every feature in UTC and elsewhere, in turn from the ends of months and years."""
    pools = [(CRON, text) for text in features.CRON]
    pools += [(FIELDS, json.dumps(fields)) for fields in features.FIELDS]
    for number, (dialect, text) in enumerate(pools):
        start = _ORDINARY[number % len(_ORDINARY)]
        yield Question("UTC", dialect, "once", start, text)
        for zone in draw.sample(ZONES[1:], 2):
            yield Question(zone, dialect, draw.choice(_MODES), draw.choice(_ORDINARY), text)


def _of_changes(draw: Random) -> Iterator[Question]:
    for zone in (*ZONES, *(zone for zone in _OLD if zone not in ZONES)):
        for change in _chosen(zone):
            by_minute = draw.sample(_near(change), _BY_MINUTE)
            for dialect, text in (*by_minute, *draw.sample(_by_second(change), _BY_SECOND)):
                start = change.instant - draw.choice(_leads(change))
                yield Question(zone, dialect, draw.choice(_MODES), start, text)


def _chosen(zone: str) -> list[Change]:
    """Return the last two gaps and folds that are history, and the remarkable ones."""
    settled = [each for each in changes(zone) if each.instant.year < _SETTLED]
    found = [each for each in settled if each.instant.year in _OLD.get(zone, ())]
    for is_gap in (True, False):
        found += [each for each in settled if each.is_gap is is_gap][-2:]
    return list(dict.fromkeys(found))


def _leads(change: Change) -> list[timedelta]:
    """Return how long before the change to ask; some lie behind it, in the second pass."""
    shift = change.after - change.before
    return [
        timedelta(hours=26),
        timedelta(hours=6),
        timedelta(minutes=90),
        timedelta(seconds=1),
        timedelta(0),
        -abs(shift) / 2 // timedelta(seconds=1) * timedelta(seconds=1),
        -abs(shift) + timedelta(seconds=1),
    ]


def _near(change: Change) -> list[tuple[str, str]]:
    """Return schedules whose times lie before, in and behind what is left out or repeated."""
    low, high = change.walls
    minute = timedelta(minutes=1)
    found: list[tuple[str, str]] = []
    for at in (low - minute, low, low + (high - low) / 2, high - minute, high):
        h, m, d = at.hour, at.minute, _WEEK[at.weekday()]
        texts = [
            f"{m} {h} * * *", f"{m} {h} {at.day} {at.month} *", f"{m} {h} * * {d}",
            f"{m} {low.hour},{high.hour} * * *", f"{m},{(m + 20) % 60} {h} * * *",
            f"*/20 {h} * * *", f"{m} * * * *", f"{m} */1 * * *", f"{m} {h}-{(h + 2) % 24} * * *",
            f"{m} {h} {at.day}W * *", f"{m} {h} {at.day} * {d}", f"{m}-{(m + 3) % 60} {h} * * *",
        ]  # fmt: skip
        fields = [
            {"hour": h, "minute": m}, {"hour": h, "minute": "*/20"}, {"minute": m},
            {"day": at.day, "hour": h, "minute": m}, {"day_of_week": d, "hour": h, "minute": m},
            {"hour": f"{low.hour},{high.hour}", "minute": m}, {"hour": "*", "minute": f"{m},59"},
            {"month": at.month, "day": at.day, "hour": h, "minute": f"0,{m}"},
        ]  # fmt: skip
        found += [(CRON, text) for text in texts]
        found += [(FIELDS, json.dumps(each)) for each in fields]
    plain = [
        "*/30 * * * *",
        "* * * * *",
        "0 0 * * *",
        "0 */2 * * *",
        "@hourly",
        "@daily",
        "0 0-23 * * *",
    ]
    return [*found, *((CRON, text) for text in plain)]


def _by_second(change: Change) -> list[tuple[str, str]]:
    low, high = change.walls
    before = high - timedelta(seconds=1)
    return [
        (CRON, f"{before.second} {before.minute} {before.hour} * * *"),
        (CRON, f"*/30 {low.minute} {low.hour} * * *"),
        (CRON, f"15,45 {high.minute} {low.hour}-{high.hour} * * *"),
        (CRON, "* * * * * *"),
        (CRON, f"7/20 {low.minute} * * * *"),
        (FIELDS, json.dumps({"hour": low.hour, "minute": low.minute, "second": "10,50"})),
        (FIELDS, json.dumps({"minute": before.minute, "second": before.second})),
        (FIELDS, json.dumps({"hour": f"{low.hour},{high.hour}", "second": 30})),
    ]


def _at_random(draw: Random) -> Iterator[Question]:
    """Schedules put together of any terms, on days near a change or anywhere."""
    for _ in range(_AT_RANDOM):
        zone = draw.choice(ZONES)
        start = datetime(2010, 1, 1, tzinfo=UTC) + timedelta(minutes=draw.randrange(15 * 525_600))
        settled = [each for each in changes(zone) if 2000 < each.instant.year < _SETTLED]
        if settled and draw.random() < 0.6:
            start = draw.choice(settled).instant - timedelta(minutes=draw.randrange(-120, 2000))
        if draw.random() < 0.6:
            dialect, text = CRON, _drawn_text(draw)
        else:
            dialect, text = FIELDS, json.dumps(_drawn_fields(draw))
        question = Question(zone, dialect, draw.choice(_MODES), start, text)
        has_date = question.meaning.has_date
        if any(has_date((start + timedelta(days=number)).date()) for number in range(2, 900)):
            yield question


def _drawn_text(draw: Random) -> str:
    words = [_drawn(draw, low, high, goes_round=True) for low, high in ((0, 59), (0, 23))]
    day = draw.choice(["*", "*", "?", "*/3", "L", "LW", "15W", "1-10", "31", "13,27"])
    month = draw.choice(["*", "*", "*", "*/2", "3-11", "oct-apr"])
    weekday = draw.choice(["*", "*", "?", "1-5", "sat-sun", "7", "0#1", "5L", "*/2", "mon,thu"])
    return " ".join([*words, day, month, weekday])


def _drawn_fields(draw: Random) -> dict[str, int | str]:
    terms: dict[str, Sequence[int | str]] = {
        "month": ["*", "*/2", "3-11", "jan-jun"],
        "day": ["*", "*/3", "last", "2nd sun", "1-10", "31", "13,27"],
        "week": ["*/2", "10-45", "*"],
        "day_of_week": ["*", "0-4", "sat,sun", 6, "*/2", "mon-wed"],
        "hour": [_drawn(draw, 0, 23, goes_round=False)],
        "minute": [_drawn(draw, 0, 59, goes_round=False)],
    }
    chosen = [name for name in terms if draw.random() < 0.45] or ["hour"]
    if chosen[-1] in {"month", "week"}:
        chosen.append("hour")
    return {name: draw.choice(terms[name]) for name in chosen}


def _drawn(draw: Random, low: int, high: int, *, goes_round: bool) -> str:
    first, last = draw.randint(low, high), draw.randint(low, high)
    if not goes_round:
        first, last = sorted((first, last))
    return draw.choice(
        [
            "*",
            f"*/{draw.randint(2, high // 2)}",
            f"{first}",
            f"{first},{last}",
            f"{first}-{last}",
            f"{first}",
        ]
    )
