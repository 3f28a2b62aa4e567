"""Rules about when a task is due."""

from __future__ import annotations

import re
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.policy import Dst
from manager.lint.findings import Remark, Rule, Severity
from manager.lint.subject import YEAR
from manager.scheduling.clockchanges import clock_changes
from manager.scheduling.numbers import MONTHS, WEEKDAYS, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.lint.project import Project
    from manager.lint.subject import Subject
    from manager.scheduling.clockchanges import ClockChange

_SIZES: Final = {
    "second": (60, "second", 0),
    "minute": (60, "minute", 0),
    "hour": (24, "hour", 0),
    "day": (31, "day", 1),
    "month": (12, "month", 1),
    "day_of_week": (7, "day", 0),
}
_WHOLE: Final = {
    "second": "minute", "minute": "hour", "hour": "day", "day": "month", "month": "year",
    "day_of_week": "week",
}  # fmt: skip
_LENGTHS: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SURE_DAY: Final = 28
_DAYS: Final = timedelta(days=2)


def never_due(task: Subject, project: Project) -> Iterator[Remark]:
    """Find a schedule whose next occurrence is farther away than a year, or that has none."""
    if not task.definition.enabled or task.definition.trigger == "date":
        return
    first = task.occurrences.first
    if first is None:
        yield Remark("has no occurrence left", "Mend its schedule, or take it out.")
    elif first > project.now + YEAR:
        what = f"is not due before {first.astimezone(task.zone):%Y-%m-%d}, over a year from now"
        yield Remark(what, "Check its month, day and year; if it is meant so, ignore this rule.")


def day_or_weekday(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a cron string with a day of month and a weekday."""
    if task.cron is not None and task.cron.either:
        what = f"names a day of month and a weekday, so either is enough: {task.told}"
        advice = (
            "Write '*' for one of them; for days that are both, use cron fields "
            "such as {'day': 13, 'day_of_week': 'fri'}."
        )
        yield Remark(what, advice)


def weekday_number(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a weekday that is written as a number in cron fields."""
    if task.cron is None or not task.by_fields:
        return
    word = task.cron.words.get("day_of_week", "*")
    ranges = [term.partition("/")[0] for term in word.split(",")]
    found = [int(each) for term in ranges for each in re.findall("[0-9]+", term)]
    if found and not {"*", "0-6"} & set(ranges):
        day = WEEKDAYS[found[0]]
        what = f"has day_of_week {word!r}, in which {found[0]} is {day} (0 is Monday)"
        yield Remark(what, f"Write names, such as {day[:3].lower()!r}.")


def fragile_time(task: Subject, project: Project) -> Iterator[Remark]:
    """Find local times that the zone skips or repeats in the next year."""
    if task.cron is None:
        return
    pattern = task.cron.pattern
    least = pattern.times if pattern.repeats else 1
    hit = [each for each in project.changes(task.zone) if each.count(pattern) >= least]
    said = "dst" in task.definition.given or task.definition.dst is not Dst.ONCE
    if not hit or (said and not pattern.repeats):
        return
    what = f"is due at local times that {task.zone} {_changes(hit)}"
    advice = "Choose a time that every day has once, or a timezone such as 'UTC'"
    if not pattern.repeats:
        advice += "; or say what is meant with dst: 'once', 'both' or 'skip'"
    yield Remark(what, f"{advice}.")


def _changes(changes: list[ClockChange]) -> str:
    """Return ``skips on 2027-03-28 (02:00 to 03:00) and repeats on ...``."""
    return listed(f"{'skips' if each.is_gap else 'repeats'} on {each}" for each in changes)


def uneven_step(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a step that does not go round evenly."""
    if task.cron is None:
        return
    for name, (size, unit, low) in _SIZES.items():
        for step in re.findall(r"\*/([0-9]+)(?![0-9])", task.cron.words.get(name, "")):
            rest = size % int(step)
            if rest == 0:
                continue
            written, whole = f"{name} '*/{step}'", _WHOLE[name]
            if int(step) >= size:
                what = f"has {written}, which names {low} only: it begins anew each {whole}"
            else:
                last = low + size - rest
                gap = f"the last step of {_an(whole)} is {rest} {unit}{'' if rest == 1 else 's'}"
                what = f"has {written}, which ends at {last} and begins anew each {whole}: {gap}"
                if name == "day":
                    what += " where the month has 31 days"
            even = f"Take a step that divides {size}"
            if unit == "day":
                even = "Write the days that are meant"
            advice = f"{even}, or use trigger 'interval' for equal distances."
            yield Remark(what, advice)


def _an(noun: str) -> str:
    return f"{'an' if noun == 'hour' else 'a'} {noun}"


def missing_day(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a day of the month that some of its months do not have."""
    if task.cron is None:
        return
    terms = task.cron.words.get("day", "*").split(",")
    if any(term.startswith(("l", "*")) for term in terms):
        return
    months = sorted(task.cron.pattern.months)
    for term in terms:
        written = re.fullmatch("([0-9]+)w?", term)
        day = int(written[1]) if written else 0
        without = [MONTHS[month - 1] for month in months if _LENGTHS[month] < day]
        if day > _SURE_DAY and without:
            names = listed(without)
            leap = " (but in a leap year)" if day == 29 and "February" in without else ""  # noqa: PLR2004 - of February
            what = f"names day {day}, which {names} {_have(without)} not have{leap}"
            word = "'last'" if task.by_fields else "'L'"
            yield Remark(what, f"For the last day of each month, write {word}.")


def _have(names: list[str]) -> str:
    return "does" if len(names) == 1 else "do"


def past_date(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a date that has passed."""
    given = task.definition
    if given.trigger == "date" and given.enabled and task.occurrences.first is None:
        what = f"is due {task.told}, which has passed"
        yield Remark(what, "Give it a date to come, or take it out.")


def fragile_date(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a date without offset that its zone shows twice or never."""
    given = task.definition
    if given.trigger != "date":
        return
    local = datetime.fromisoformat(given.trigger_args["run_date"])
    if local.tzinfo is not None or not MINYEAR < local.year < MAXYEAR:
        return  # it names its instant, or has no days around it
    middle = local.replace(tzinfo=task.zone)
    for change in clock_changes(task.zone, middle - _DAYS, middle + _DAYS):
        if change.holds(local):
            verb = "skips" if change.is_gap else "shows twice"
            what = f"is due {local:%Y-%m-%d %H:%M}, which {task.zone} {verb}: {change}"
            yield Remark(what, f"Write the offset, such as {middle.isoformat(' ', 'minutes')!r}.")


_WARNING: Final = Severity.WARNING
SCHEDULE_RULES: Final = (
    Rule(
        "TR101", _WARNING, "no occurrence in the next year",
        "A task that is never due looks as if it worked.", never_due,
    ),
    Rule(
        "TR102", _WARNING, "day of month and weekday in one cron string",
        "Cron joins the two by OR, and most people read AND.", day_or_weekday,
    ),
    Rule(
        "TR103", _WARNING, "weekday number in cron fields",
        "In cron fields 0 is Monday, in cron strings it is Sunday.", weekday_number,
    ),
    Rule(
        "TR104", _WARNING, "local time that the zone skips or repeats within a year",
        "On these days it is due at another time than it says, in one pass of two, or not at all.",
        fragile_time,
    ),
    Rule(
        "TR105", _WARNING, "step that does not go round evenly",
        "A step starts again with the field that is above it, so distances differ.", uneven_step,
    ),
    Rule(
        "TR106", _WARNING, "day of month that not every month has",
        "In a month without that day there is no occurrence at all.", missing_day,
    ),
    Rule(
        "TR107", _WARNING, "date in the past",
        "It never runs: at its first registration it is recorded as missed.", past_date,
    ),
    Rule(
        "TR108", _WARNING, "date without offset in an hour that the zone skips or repeats",
        "Such a local time names no instant, or two.", fragile_date,
    ),
)  # fmt: skip
