"""Schedules as sentences: what they say is what is due, and nothing else is."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.errors import TriggerError
from core.policy import Dst
from manager.scheduling import KINDS, checked_arguments, describe
from manager.scheduling.crontext import parse_cron
from manager.scheduling.fields import pattern_of
from manager.scheduling.wording import WORDINGS, plain
from tests.sentences import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.scheduling.patterns import Pattern

BERLIN: Final = "Europe/Berlin"
COUNTED: Final = "counted from its registration"
DATES: Final = [date(2025, 1, 1) + timedelta(number) for number in range(4 * 366)]
NAMES: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0 9 * * 1-5", "at 09:00 from Monday to Friday"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 8-18/2 * * 6", "every 2 hours from 08:00 to 18:00 on Saturday"),
        ("0 0 13 * 5", "at 00:00 on day 13 of the month or on Friday"),
        ("0 0 13 1 5", "at 00:00 on day 13 of the month or on Friday, in January"),
        ("30 23 L * *", "on the last day of the month at 23:30"),
        ("0 10 * * 1#2", "on the second Monday of the month at 10:00"),
        ("@weekly", "at 00:00 on Sunday"),
        ("0 */5 * * *", "every 5 hours from 00:00 to 20:00"),
        ("*/15 9-17 * * 5-1", "every 15 minutes from 09:00 to 17:45 from Friday to Monday"),
        ("*/20 22-2 * * *", "every 20 minutes from 00:00 to 02:40 and from 22:00 to 23:40"),
        ("*/7 * * * *", "at minutes 0 to 56 in steps of 7 of every hour"),
        (
            "0 0 */2 * 1",
            "at 00:00 on Monday, if that is one of days 1 to 31 in steps of 2 of the month",
        ),
        ("0 0 1,15 1-3 *", "at 00:00 on days 1 and 15 of each month from January to March"),
        (
            "0 0 15W,LW * ?",
            "on the working day nearest to day 15 and the last working day of the month at 00:00",
        ),
        ("0 0 * * 7L", "on the last Sunday of the month at 00:00"),
        ("15 30 9 25 12 ? 2030", "at 09:30:15 on day 25 of December in 2030"),
        ("30 9 * * *", "at 09:30 every day"),
        ("30 * * * *", "at minute 30 of every hour"),
        ("*/10 * * * * *", "every 10 seconds"),
    ],
)
def test_a_cron_string_is_a_sentence(text: str, sentence: str) -> None:
    """With its zone at the end."""
    said = describe("cron", {"expression": text}, "Asia/Kolkata")
    assert said == f"{sentence}, Asia/Kolkata"


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        ("interval", {"hours": 1, "minutes": 30}, f"every 1 h 30 min, {COUNTED}"),
        ("interval", {"minutes": 90}, f"every 1 h 30 min, {COUNTED}"),
        ("interval", {"weeks": 1, "seconds": 0.25}, f"every 7 d 0.25 s, {COUNTED}"),
        ("date", {"run_date": "2026-12-25"}, "once at 2026-12-25 00:00, Europe/Berlin"),
        ("date", {"run_date": "2026-12-25T08:00:01Z"}, "once at 2026-12-25 08:00:01+00:00"),
        (
            "cron",
            {"day": "2nd fri", "hour": 10},
            "on the second Friday of the month at 10:00, Europe/Berlin",
        ),
        (
            "cron",
            {"day_of_week": 0, "hour": 9, "week": "1-3"},
            "at 09:00 on Monday in ISO weeks 1 to 3, Europe/Berlin",
        ),
        ("cron", {"hour": 9, "minute": "*"}, "every minute from 09:00 to 09:59, Europe/Berlin"),
        (
            "cron",
            {"expression": "CRON_TZ=Asia/Tokyo 5 4 * * sun"},
            "at 04:05 on Sunday, Asia/Tokyo",
        ),
    ],
    ids=[
        "parts",
        "the same",
        "fraction",
        "date",
        "offset",
        "position",
        "week",
        "minutes",
        "prefix",
    ],
)
def test_every_kind_is_a_sentence(kind: str, arguments: dict[str, Any], sentence: str) -> None:
    """Intervals, dates and fields as well as strings."""
    assert describe(kind, arguments, BERLIN) == sentence


@pytest.mark.parametrize(
    ("text", "dst", "note"),
    [
        ("30 2 * * *", "once", ""),
        ("30 2 * * *", "both", ", twice where the clock repeats it"),
        ("30 2 * * *", "skip", ", left out where the clock skips it"),
        ("0 */2 * * *", "skip", ""),
        ("0 0-23/2 * * *", "once", ", each local time once"),
        ("0,30 9-17 * * *", "once", ""),
        ("*/15 9-17 * * *", "once", ""),
        ("0 */12 * * *", "once", ", whenever the clock shows it"),
    ],
)
def test_what_the_clock_change_does_is_said_where_the_words_do_not_imply_it(
    text: str, dst: str, note: str
) -> None:
    """And never in a zone whose clock is not set."""
    said = describe("cron", {"expression": text}, BERLIN, dst=dst)
    assert said.endswith(f", {BERLIN}{note}")
    assert describe("cron", {"expression": text}, "UTC", dst=dst).endswith(", UTC")


def test_a_kind_without_a_wording_is_told_by_its_arguments() -> None:
    """Each built-in kind has one; the listing of a plugin's names every argument."""
    assert plain("tide", {"port": "Kiel", "at": 3}, "UTC") == "tide with at=3, port='Kiel', UTC"
    assert set(WORDINGS) == set(KINDS)
    assert describe("tide", {}, "UTC") == "tide with no arguments, UTC"


def test_a_sunday_may_be_called_seven_also_beside_a_mark() -> None:
    """``7L`` and ``7#2`` are ``0L`` and ``0#2``."""
    for seven, nought in (("0 0 * * 7L", "0 0 * * 0L"), ("0 0 * * 7#2", "0 0 * * 0#2")):
        days = [day for day in DATES[:365] if parse_cron(seven).pattern.has(day)]
        assert days == [day for day in DATES[:365] if parse_cron(nought).pattern.has(day)]
        assert len(days) == 12


def drawn_term(draw: Random, low: int, high: int) -> str:
    """Return a number, a range or a step of a field."""
    one, other = sorted((draw.randint(low, high), draw.randint(low, high)))
    step = draw.choice([2, 3, 5, 7, 10, 15])
    return draw.choice(
        ["*", f"*/{step}", str(one), f"{one}-{other}", f"{one}-{other}/{step}", f"{one},{other}"]
    )


def drawn_texts(count: int) -> list[str]:
    """Return cron strings of every form that the dialect has and that name some date."""
    draw = Random(20260726)  # noqa: S311 - the same strings at each run
    found: list[str] = []
    while len(found) < count:
        fields = [drawn_term(draw, *ends) for ends in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))]
        fields[0] = draw.choice([fields[0], "0", "*/15", "30"])
        fields[2] = draw.choice(["*", "*", "?", fields[2], "L", "LW", "15W", "1,L", "31W,5", "1-7"])
        fields[3] = draw.choice(["*", "*", fields[3], "11-2", "jan,MAR"])
        marks = ["*", "*", fields[4], "mon-fri", "fri-mon", "5L", "1#2", "0#5,3", "7", "6#1,2L"]
        fields[4] = draw.choice(marks)
        if draw.random() < 0.3:
            fields.insert(0, drawn_term(draw, 0, 59))
            if draw.random() < 0.5:
                fields.append(draw.choice(["*", "2026", "2026-2029", "2024,2028", "*/2"]))
        if len(fields) == 5 and draw.random() < 0.1:
            fields[1] = "22-2"
        text = " ".join(fields)
        try:
            checked_arguments("cron", {"expression": text}, "UTC")
        except TriggerError:
            continue
        found.append(text)
    return found


def drawn_fields(count: int) -> list[dict[str, Any]]:
    """Return cron fields of every form that APScheduler has and that name some date."""
    draw = Random(7)  # noqa: S311 - the same fields at each run
    found: list[dict[str, Any]] = []
    ends = {"month": (1, 12), "week": (1, 53), "hour": (0, 23), "minute": (0, 59)}
    days = ["1-7", "last", "2nd fri", "15,last sun", "31", "*/2", "1st mon,3rd wed"]
    while len(found) < count:
        names = draw.sample([*ends, "second", "day", "day_of_week", "year"], draw.randint(1, 4))
        fields = {name: drawn_term(draw, *ends.get(name, (0, 59))) for name in names}
        if "day" in fields:
            fields["day"] = draw.choice(days)
        if "day_of_week" in fields:
            fields["day_of_week"] = draw.choice(["mon-fri", "0", "sat,sun", "*", "2-4", "*/3"])
        if "year" in fields:
            fields["year"] = draw.choice(["2026", "2025-2028", "*"])
        try:
            checked_arguments("cron", fields, "UTC")
        except TriggerError:
            continue
        found.append(fields)
    return found


def patterns() -> Iterator[tuple[dict[str, Any], Pattern]]:
    """Yield the arguments of several hundred schedules, each with its local times."""
    for text in drawn_texts(280):
        yield {"expression": text}, parse_cron(text).pattern
    for fields in drawn_fields(120):
        yield fields, pattern_of(fields)


def times_of(pattern: Pattern) -> frozenset[int]:
    return frozenset(
        hour * 3600 + minute * 60 + second
        for hour in pattern.hours
        for minute in pattern.minutes
        for second in pattern.seconds
    )


def dates_of(pattern: Pattern) -> tuple[bool, ...]:
    return tuple(pattern.has(day) for day in DATES)


def test_a_sentence_read_back_is_the_schedule() -> None:
    """Four hundred drawn schedules: the same times of the day on the same dates of four years."""
    for arguments, pattern in patterns():
        sentence = describe("cron", arguments, BERLIN)
        understood = read(sentence)
        place = f"{arguments}: {sentence}"
        assert understood.times == times_of(pattern), place
        assert tuple(map(understood.dates, DATES)) == dates_of(pattern), place
        assert understood.zone == BERLIN, place


def test_schedules_that_differ_never_share_a_sentence() -> None:
    """Neither in their times, dates and years, nor in what the clock change does to them."""
    said: dict[str, tuple[Any, ...]] = {}
    for arguments, pattern in patterns():
        times = (pattern.hours, pattern.minutes, pattern.seconds)
        named = (times, hash(dates_of(pattern)), pattern.years)
        for dst in Dst:
            meaning = (*named, "flowing" if pattern.repeats else dst)
            sentence = describe("cron", arguments, BERLIN, dst=dst)
            assert said.setdefault(sentence, meaning) == meaning, f"{arguments}: {sentence}"
    assert len(said) > 500


def respelled(text: str, draw: Random) -> str:
    """Return another spelling of a cron string of five fields, in a zone without changes."""
    pattern, fields = parse_cron(text).pattern, text.split()
    lists = [pattern.minutes, pattern.hours, tuple(pattern.months)]
    fields[0], fields[1], fields[3] = (
        ",".join(map(str, draw.sample(list(each), len(each)))) for each in lists
    )
    for number, name in enumerate(NAMES):
        if "#" not in fields[4] and "L" not in fields[4]:
            fields[4] = fields[4].replace(name, str(number))
    if fields[4].isdigit():
        fields[4] = NAMES[int(fields[4]) % 7].upper()
    return " ".join(fields)


def test_another_spelling_has_the_same_sentence() -> None:
    """Lists for steps and ranges, in any order, and names for numbers."""
    draw, changed = Random(3), 0  # noqa: S311 - the same spellings at each run
    for text in drawn_texts(400):
        if len(text.split()) == 5 and "-mon" not in text:
            again = respelled(text, draw)
            changed += again != text
            texts = [describe("cron", {"expression": each}, "UTC") for each in (text, again)]
            assert texts[0] == texts[1], f"{text} and {again}"
    assert changed > 200


def test_the_two_dialects_share_their_sentences() -> None:
    """Where a string and fields name the same."""
    pairs: list[tuple[str, dict[str, Any]]] = [
        ("0 9 * * mon-fri", {"hour": 9, "day_of_week": "0-4"}),
        ("0 0 * * 5#2", {"day": "2nd fri"}),
        ("30 23 L * *", {"day": "last", "hour": 23, "minute": 30}),
        ("0 0 1 1 *", {"month": 1}),
        ("0 0 * * 7L", {"day": "last sun", "hour": 0}),
    ]
    for text, fields in pairs:
        assert describe("cron", {"expression": text}, BERLIN) == describe("cron", fields, BERLIN)
