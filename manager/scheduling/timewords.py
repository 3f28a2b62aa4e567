"""The times of a day in words: ``at 09:00``, ``every 15 minutes from 09:00 to 16:45``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from manager.scheduling.numbers import counted, every, listed, runs, step_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from manager.scheduling.patterns import Pattern

_HOURS: Final = 24
_SIXTY: Final = 60
_MOST_TIMES: Final = 4
_MOST_RUNS: Final = 3
_MOST_HALVES: Final = 2


class TimeWords(NamedTuple):
    """The times of a day, told.

    Attributes:
        text: The words.
        clock: Whether they are a list of times, which needs a date beside it.
        flowing: Whether a reader takes them for every instant that shows such a time, not for
            each local time once.
    """

    text: str
    clock: bool
    flowing: bool


def time_words(pattern: Pattern) -> TimeWords:
    """Return the local times of *pattern* in words that name these and no others."""
    hours, minutes, seconds = pattern.hours, pattern.minutes, pattern.seconds
    if pattern.times <= _MOST_TIMES:
        times = [
            _clock(hour, minute, second if seconds != (0,) else None)
            for hour in hours
            for minute in minutes
            for second in seconds
        ]
        return TimeWords(f"at {listed(times)}", clock=True, flowing=False)
    if seconds == (0,):
        return _by_minutes(hours, minutes)
    return _by_seconds(hours, minutes, seconds)


def _by_minutes(hours: Sequence[int], minutes: Sequence[int]) -> TimeWords:
    all_day = len(hours) == _HOURS
    step = _cycle(minutes)
    if step and len(minutes) > 1:
        spans = _spans(hours, minutes[-1], None)
        if all_day:
            return TimeWords(every(step, "minute"), clock=False, flowing=True)
        if spans:
            flowing = len(minutes) > _MOST_HALVES
            return TimeWords(f"{every(step, 'minute')} {spans}", clock=False, flowing=flowing)
    if len(minutes) == 1 and step_of(hours):
        return _by_hours(hours, minutes[0])
    named = counted("minute", minutes)
    if all_day:
        return TimeWords(f"at {named} of every hour", clock=False, flowing=True)
    return TimeWords(f"at {named} of {counted('hour', hours)}", clock=False, flowing=False)


def _by_hours(hours: Sequence[int], minute: int) -> TimeWords:
    step = step_of(hours)
    whole = list(hours) == list(range(0, _HOURS, step))
    if step == 1 and whole and minute:
        return TimeWords(f"at minute {minute} of every hour", clock=False, flowing=True)
    text = every(step, "hour")
    if minute or not whole or _HOURS % step:
        text += f" from {_clock(hours[0], minute)} to {_clock(hours[-1], minute)}"
    return TimeWords(text, clock=False, flowing=whole)


def _by_seconds(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> TimeWords:
    all_day, each_minute = len(hours) == _HOURS, len(minutes) == _SIXTY
    step = _cycle(seconds)
    if step and len(seconds) > 1 and each_minute:
        spans = "" if all_day else _spans(hours, 59, seconds[-1])
        if all_day or spans:
            text = f"{every(step, 'second')} {spans}".rstrip()
            return TimeWords(text, clock=False, flowing=True)
    text = f"at {counted('second', seconds)} of "
    text += "every minute" if each_minute else counted("minute", minutes)
    if not all_day:
        text += f" of {counted('hour', hours)}"
    elif not each_minute:
        text += " of every hour"
    return TimeWords(text, clock=False, flowing=all_day)


def _cycle(values: Sequence[int]) -> int:
    """Return the step of *values* where they go round sixty evenly from 0, else 0."""
    step = _SIXTY // len(values)
    return step if list(values) == list(range(0, _SIXTY, step)) else 0


def _spans(hours: Sequence[int], minute: int, second: int | None) -> str:
    """Return ``from 09:00 to 16:45`` for each run of *hours*; nothing where they are too many."""
    found = runs(hours)
    if len(found) > _MOST_RUNS:
        return ""
    first = None if second is None else 0
    return listed(
        f"from {_clock(run[0], 0, first)} to {_clock(run[-1], minute, second)}" for run in found
    )


def _clock(hour: int, minute: int, second: int | None = None) -> str:
    return f"{hour:02}:{minute:02}" if second is None else f"{hour:02}:{minute:02}:{second:02}"
