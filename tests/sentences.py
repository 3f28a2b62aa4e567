"""Reads the sentence of a cron schedule back, knowing nothing of how it was written."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MONTHS: Final = list(calendar.month_name)
WEEKDAYS: Final = list(calendar.day_name)
ORDINALS: Final = ["first", "second", "third", "fourth", "fifth"]
NOTES: Final = {
    "whenever the clock shows it",
    "each local time once",
    "twice where the clock repeats it",
    "left out where the clock skips it",
}
_CLOCK: Final = r"\d\d:\d\d(?::\d\d)?"
_NUMBERS: Final = r"\d+(?: to \d+)?(?: in steps of \d+)?(?:(?:, | and )\d+(?: to \d+)?)*"
_SPAN: Final = rf"from {_CLOCK} to {_CLOCK}"
_MONTH: Final = f"(?:{'|'.join(MONTHS[1:])})"
_WEEKDAY: Final = f"(?:{'|'.join(WEEKDAYS)})"
_LIST: Final = "{0}(?:(?:, | and ){0})*"
_MONTHLY: Final = rf"(?:from {_MONTH} to {_MONTH}|in {_LIST.format(_MONTH)})"
_TIMES: Final = re.compile(
    rf"at (?P<clocks>{_LIST.format(_CLOCK)})"
    rf"|every (?:(?P<step>\d+) )?(?P<unit>hour|minute|second)s?"
    rf"(?: (?P<spans>{_LIST.format(_SPAN)}))?"
    rf"|at seconds? (?P<seconds>{_NUMBERS}) of (?:minutes? (?P<of>{_NUMBERS})|every minute)"
    rf"(?: of (?:hours? (?P<on>{_NUMBERS})|every hour))?"
    rf"|at minutes? (?P<minutes>{_NUMBERS}) of (?:hours? (?P<hours>{_NUMBERS})|every hour)"
)


@dataclass(frozen=True)
class Sentence:
    """What a reader understands: seconds of the day, dates, zone, and the clock's note."""

    times: frozenset[int]
    dates: Callable[[date], bool]
    zone: str
    note: str | None


def read(sentence: str) -> Sentence:
    """Return what *sentence* says."""
    *body, last = sentence.split(", ")
    note = last if last in NOTES else None
    zone = body.pop() if note else last
    text = ", ".join(body)
    found = _TIMES.search(text)
    assert found, f"no time in {sentence!r}"
    rest = f"{text[: found.start()].strip()} {text[found.end() :].strip()}".strip()
    return Sentence(frozenset(_times(found)), _dates(rest), zone, note)


def _times(found: re.Match[str]) -> set[int]:
    part = found.groupdict()
    if part["clocks"]:
        return {_second(each) for each in re.findall(_CLOCK, part["clocks"])}
    if part["unit"]:
        step = int(part["step"] or 1) * {"hour": 3600, "minute": 60, "second": 1}[part["unit"]]
        if not part["spans"]:
            return set(range(0, 86_400, step))
        ends = list(map(_second, re.findall(_CLOCK, part["spans"])))
        pairs = zip(ends[::2], ends[1::2], strict=True)
        return {each for low, high in pairs for each in range(low, high + 1, step)}
    hours = part["on"] or part["hours"]
    return {
        hour * 3600 + minute * 60 + second
        for hour in (_numbers(hours) if hours else range(24))
        for minute in (_numbers(part["of"] or part["minutes"] or "0 to 59"))
        for second in (_numbers(part["seconds"]) if part["seconds"] else [0])
    }


def _second(clock: str) -> int:
    hour, minute, second = [*map(int, clock.split(":")), 0][:3]
    return hour * 3600 + minute * 60 + second


def _numbers(text: str) -> set[int]:
    base, _, step = text.partition(" in steps of ")
    found: set[int] = set()
    for part in re.split(", | and ", base):
        low, _, high = part.partition(" to ")
        found.update(range(int(low), int(high or low) + 1, int(step or 1)))
    return found


def _dates(text: str) -> Callable[[date], bool]:
    tests: list[Callable[[date], bool]] = []
    if years := re.search(rf" ?in (?:the years )?(\d{{4}}{_NUMBERS[3:]})$", text):
        named = _numbers(years[1])
        tests.append(lambda day: day.year in named)
        text = text[: years.start()]
    if months := re.search(rf"(?:^|,? )(?<!each month )({_MONTHLY})$", text):
        tests.append(_months(months[1]))
        text = text[: months.start()]
    if weeks := re.search(rf" ?in ISO weeks? ({_NUMBERS})$", text):
        chosen = _numbers(weeks[1])
        tests.append(lambda day: day.isocalendar().week in chosen)
        text = text[: weeks.start()]
    if text and text != "every day":
        tests.append(_days(text))
    return lambda day: all(test(day) for test in tests)


def _months(text: str) -> Callable[[date], bool]:
    named = [MONTHS.index(each) for each in re.findall(_MONTH, text)]
    if text.startswith("from "):
        named = list(range(named[0], named[1] + 1))
    return lambda day: day.month in named


def _days(text: str) -> Callable[[date], bool]:
    first, condition, second = [*re.split("(, if that is (?:one of )?| or )", text), "", ""][:3]
    one = _clause(first)
    if not condition:
        return one
    other = _clause(second if second.startswith(("on ", "from ")) else f"on {second}")
    if condition == " or ":
        return lambda day: one(day) or other(day)
    return lambda day: one(day) and other(day)


def _clause(text: str) -> Callable[[date], bool]:
    """Read ``on Monday and on day 13 and the last day of the month``: any of these."""
    found = re.fullmatch(
        rf"(?:(?P<from>from {_WEEKDAY} to {_WEEKDAY})|on (?P<on>{_LIST.format(_WEEKDAY)}))?"
        rf"(?: and )?(?:on (?P<items>.+) of (?:the month|(?P<in>{_LIST.format(_MONTH)})"
        rf"|each month (?P<each>{_MONTHLY})))?",
        text,
    )
    assert found, f"no days in {text!r}"
    weekdays = [WEEKDAYS.index(each) for each in re.findall(_WEEKDAY, found["on"] or "")]
    if found["from"]:
        low, high = (WEEKDAYS.index(each) for each in re.findall(_WEEKDAY, found["from"]))
        weekdays = [(low + n) % 7 for n in range((high - low) % 7 + 1)]
    items = _items(found["items"] or "")
    inside = _months(found["in"] or found["each"] or ", ".join(MONTHS[1:]))
    return lambda day: (
        inside(day) and (day.weekday() in weekdays or any(item(day) for item in items))
    )


def _items(text: str) -> list[Callable[[date], bool]]:
    found: list[Callable[[date], bool]] = []
    while text:
        if match := re.match(r"the working day nearest to day (\d+)", text):
            found.append(_nearest(int(match[1])))
        elif match := re.match(rf"days? ({_NUMBERS})", text):
            found.append(_numbered(_numbers(match[1])))
        elif match := re.match("the last day", text):
            found.append(lambda day: (day + timedelta(1)).day == 1)
        elif match := re.match("the last working day", text):
            found.append(lambda day: day == _working(_last(day)))
        else:
            match = re.match(rf"the (last|{'|'.join(ORDINALS)}) ({_WEEKDAY})", text)
            assert match, f"no day in {text!r}"
            found.append(_position(match[1], WEEKDAYS.index(match[2])))
        text = re.sub("^(, | and )", "", text[match.end() :])
    return found


def _numbered(named: set[int]) -> Callable[[date], bool]:
    return lambda day: day.day in named


def _position(ordinal: str, weekday: int) -> Callable[[date], bool]:
    def test(day: date) -> bool:
        if day.weekday() != weekday:
            return False
        if ordinal == "last":
            return (day + timedelta(7)).month != day.month
        return (day.day - 1) // 7 == ORDINALS.index(ordinal)

    return test


def _nearest(number: int) -> Callable[[date], bool]:
    def test(day: date) -> bool:
        return number <= _last(day).day and day == _working(day.replace(day=number))

    return test


def _last(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _working(wanted: date) -> date:
    """Return the nearest day from Monday to Friday in the month of *wanted*."""
    near = [wanted + timedelta(n) for n in (0, -1, 1, -2, 2)]
    return next(day for day in near if day.month == wanted.month and day.weekday() < 5)
