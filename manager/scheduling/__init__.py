"""When tasks are due: triggers, and the timers that call back."""

from manager.scheduling.timetable import ApsTimetable
from manager.scheduling.triggers import KINDS, build_trigger, checked_arguments
from manager.scheduling.wording import describe

__all__ = ["KINDS", "ApsTimetable", "build_trigger", "checked_arguments", "describe"]
