"""The tasks that a node times, as its book holds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.definition import TaskDefinition
from manager.engine.book import Book, LiveTask
from manager.scheduling import build_trigger
from manager.testing.lab import nothing

if TYPE_CHECKING:
    from core.trigger import Schedule, Trigger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Timers:
    """Notes which schedules are watched."""

    def __init__(self) -> None:
        self.watched: list[Schedule] = []

    def start(self, due: object) -> None:
        """Call nobody back."""

    def watch(self, schedule: Schedule, trigger: Trigger) -> None:
        """Take a note."""
        _ = trigger
        if schedule not in self.watched:
            self.watched.append(schedule)

    def unwatch(self, schedule: Schedule) -> None:
        """Strike it out."""
        self.watched.remove(schedule)

    def stop(self) -> None:
        """Have nothing to stop."""


def live(task_id: str) -> LiveTask:
    """Return a task that is due each hour, with a trigger of its own."""
    definition = TaskDefinition(
        id=task_id, name=task_id, func=nothing, trigger="interval", trigger_args={"hours": 1}
    )
    schedule = definition.schedule(NOW)
    return LiveTask(
        definition=definition,
        anchor=NOW,
        cursor=NOW,
        next_run=NOW + HOUR,
        paused=False,
        schedule=schedule,
        trigger=build_trigger(schedule),
        revision=1,
    )


def test_tasks_of_one_schedule_share_its_trigger() -> None:
    """Also those that were made before either was held; what is due is then asked of it once."""
    timers = Timers()
    book = Book(timers, build_trigger)
    one, other = live("one"), live("other")
    assert one.trigger is not other.trigger
    book.put(one)
    book.put(other)
    assert one.trigger is other.trigger
    assert len(timers.watched) == 1


def test_a_trigger_goes_with_the_last_task_that_shares_it() -> None:
    """Its timer stays as long as one is left."""
    timers = Timers()
    book = Book(timers, build_trigger)
    for task in (live("one"), live("other")):
        book.put(task)
    book.remove("one")
    assert len(timers.watched) == 1
    book.remove("other")
    assert timers.watched == []


def test_what_is_due_leaves_the_book_until_it_is_timed_again() -> None:
    """Each task once, and none before its time."""
    book = Book(Timers(), build_trigger)
    task = live("one")
    book.put(task)
    book.put(task)
    assert book.due(NOW) == []
    assert book.due(NOW + HOUR) == [task]
    assert book.earliest() is None
    task.next_run = NOW + 2 * HOUR
    book.retime(task)
    assert book.earliest() == NOW + 2 * HOUR


def test_tasks_that_are_bound_together_share_one_trigger() -> None:
    """A schedule is worked out once for all that have it, and anew when nobody has it any more."""
    built: list[Schedule] = []

    def build(schedule: Schedule) -> Trigger:
        built.append(schedule)
        return build_trigger(schedule)

    book, first, second = Book(Timers(), build), live("first"), live("second")
    for task in (first, second):
        task.trigger = book.trigger(task.schedule)
    assert (first.trigger is second.trigger, len(built)) == (True, 1)
    for task in (first, second):
        book.put(task)
    assert book.trigger(first.schedule) is first.trigger
    book.remove("first")
    book.remove("second")
    assert book.trigger(first.schedule) is not first.trigger
    assert len(built) == 2
