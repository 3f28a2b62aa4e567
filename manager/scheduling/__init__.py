"""When tasks are due: triggers, and the timers that call back."""

from manager.scheduling.clockchanges import Affected, ClockChange, affected, clock_changes
from manager.scheduling.combinations import COMBINATIONS
from manager.scheduling.exclusiontext import checked_exclusions, parse_exclusions
from manager.scheduling.simple import EPOCH, instant_of, limit_of
from manager.scheduling.timetable import ApsTimetable
from manager.scheduling.triggers import KINDS, build_trigger, checked_arguments
from manager.scheduling.wording import describe

__all__ = [
    "COMBINATIONS",
    "EPOCH",
    "KINDS",
    "Affected",
    "ApsTimetable",
    "ClockChange",
    "affected",
    "build_trigger",
    "checked_arguments",
    "checked_exclusions",
    "clock_changes",
    "describe",
    "instant_of",
    "limit_of",
    "parse_exclusions",
]
