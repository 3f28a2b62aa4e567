"""Numbers, times and names in a row, as a sentence has them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDINALS: Final = ("last", "first", "second", "third", "fourth", "fifth")
_RUN: Final = 3
_STEPS: Final = 4


def listed(words: Iterable[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def numbers(values: Sequence[int]) -> str:
    """Return ascending *values* as ``1``, ``1 to 5``, ``0 to 4, 10 and 15`` or in steps."""
    step = step_of(values)
    if step > 1 and len(values) >= _STEPS:
        return f"{values[0]} to {values[-1]} in steps of {step}"
    parts: list[str] = []
    for run in runs(values):
        long = len(run) >= _RUN
        parts += [f"{run[0]} to {run[-1]}"] if long else [str(each) for each in run]
    return listed(parts)


def counted(noun: str, values: Sequence[int]) -> str:
    """Return ``minute 5`` or ``minutes 5 and 20``."""
    return f"{noun} {values[0]}" if len(values) == 1 else f"{noun}s {numbers(values)}"


def every(count: int, noun: str) -> str:
    """Return ``every hour`` or ``every 2 hours``."""
    return f"every {noun}" if count == 1 else f"every {count} {noun}s"


def step_of(values: Sequence[int]) -> int:
    """Return the distance of neighbours where all are equal, else 0."""
    steps = {after - before for before, after in pairwise(values)}
    return steps.pop() if len(steps) == 1 else 0


def runs(values: Sequence[int]) -> list[list[int]]:
    """Return ascending *values* cut where one is missing."""
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][-1] == value - 1:
            found[-1].append(value)
        else:
            found.append([value])
    return found


def named_range(values: Sequence[int], names: Sequence[str]) -> tuple[str, str] | None:
    """Return the names of the ends of *values* where these are a run of three or more."""
    if len(values) < _RUN or step_of(values) != 1:
        return None
    return names[values[0]], names[values[-1]]
