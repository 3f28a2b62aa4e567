"""Starts, ends, most runs, jitters and triggers of plugins, in a container that runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from core.errors import DefinitionError
from core.run import Cause, RunState, TaskState
from tests.pages import command
from tests.tools import ShiftedClock, eventually, finals, fire, states, task_of

if TYPE_CHECKING:
    from tests.tools import Project

HOOK: Final = """
    from datetime import timedelta

    from core import hookimpl

    class Every:
        def __init__(self, span):
            self.span = span

        def next_after(self, instant):
            return instant + self.span

    class Broken:
        calls = 0

        def next_after(self, instant):
            self.calls += 1
            if self.calls > 2:
                raise RuntimeError("the moon is gone")
            return instant + timedelta(seconds=0.05)

    class Back:
        def next_after(self, instant):
            return instant - timedelta(seconds=1)

    def soon(trigger_args, zone):
        if trigger_args["seconds"] <= 0:
            raise ValueError("seconds: expected more than 0")
        return Every(timedelta(seconds=trigger_args["seconds"]))

    @hookimpl
    def taskrack_triggers():
        return {
            "soon": soon,
            "broken": lambda trigger_args, zone: Broken(),
            "back": lambda trigger_args, zone: Back(),
            "none": lambda trigger_args, zone: 5,
            "number": 5,
        }

    def beat():
        pass

    def task(id, trigger, **trigger_args):
        return {"id": id, "func": beat, "trigger": trigger, "trigger_args": trigger_args}

    TASK_DEFINITIONS = [
        task("often", "soon", seconds=0.05),
        task("refused", "soon", seconds=0),
        task("ends", "broken"),
        task("backwards", "back"),
        task("nothing", "none"),
        task("unknown", "number"),
        task("both", "or", triggers=[
            {"trigger": "soon", "trigger_args": {"seconds": 0.05}},
            {"trigger": "cron", "trigger_args": {"hour": 3}},
        ]),
    ]
"""


def beat() -> None:
    """Do nothing."""


def test_a_schedule_ends_after_its_most_runs(project: Project) -> None:
    """Also after a restart; runs by hand do not count."""
    tasks = project.engine()
    tasks.add_task(beat, "interval", "few", seconds=0.05, max_runs=3)
    tasks.start()

    eventually(lambda: task_of(tasks, "few").status is TaskState.FINISHED)
    timed = [run for run in finals(tasks, "few", 3) if run.cause is Cause.SCHEDULE]
    assert states(timed) == [RunState.COMPLETED] * 3
    assert task_of(tasks, "few").next_run is None

    assert fire(tasks, "few").state is RunState.COMPLETED
    tasks.shutdown()
    again = project.engine()
    again.add_task(beat, "interval", "few", seconds=0.05, max_runs=3)
    again.add_task(beat, "interval", "beside", seconds=0.05)
    again.start()
    finals(again, "beside", 3)
    assert task_of(again, "few").status is TaskState.FINISHED
    assert task_of(again, "few").completed == 4


@pytest.mark.parametrize("most", [3, None], ids=["more", "no-most"])
def test_a_schedule_that_may_start_more_runs_makes_up_none(
    project: Project, most: int | None
) -> None:
    """What it named while it was finished was not missed: it goes on with the next one."""
    noon = datetime(2026, 3, 20, 12, 59, 59, tzinfo=UTC)
    tasks = project.engine(clock=ShiftedClock(noon))
    tasks.add_task(beat, "cron", "hourly", minute=0, max_runs=1)
    tasks.start()
    finals(tasks, "hourly")
    tasks.shutdown()

    again = project.engine(clock=ShiftedClock(noon + timedelta(hours=3, minutes=30)))
    again.add_task(beat, "cron", "hourly", minute=0, max_runs=most, catch_up="all")
    again.add_task(beat, "interval", "beside", seconds=0.05)
    again.start()
    finals(again, "beside", 3)
    assert len(again.list_runs("hourly")) == 1
    assert task_of(again, "hourly").next_run == datetime(2026, 3, 20, 17, tzinfo=UTC)


def test_nothing_is_due_before_the_start_or_after_the_end(project: Project) -> None:
    """The next run is the start itself; an end that has passed leaves the task finished."""
    tasks = project.engine()
    start = datetime(2050, 1, 1, 8, tzinfo=UTC)
    tasks.add_task(beat, "interval", "later", hours=5, start=start)
    tasks.add_task(beat, "cron", "daily", hour=9, start="2050-01-01 12:00", end="2050-01-02 12:00")
    tasks.add_task(beat, "cron", "over", hour=9, end="2020-01-01")
    tasks.start()

    assert task_of(tasks, "later").next_run == start
    assert task_of(tasks, "daily").next_run == start + timedelta(hours=25)
    assert task_of(tasks, "over").status is TaskState.FINISHED
    assert task_of(tasks, "later").options["start"] == "2050-01-01T08:00:00+00:00"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": "soon"}, "start: expected a date and time such as '2026-12-25 00:00'"),
        ({"end": 5}, "end: expected a date and time"),
        ({"start": "2026-02-02", "end": "2026-02-01"}, "end: expected an instant after the start"),
        ({"max_runs": 0}, "max_runs: expected a whole number from 1 to 1000000000"),
        ({"jitter": -1}, "jitter: expected a number of seconds from 0 to 86400"),
        ({"exclude": {"dats": []}}, "exclude.dats: unknown key, did you mean 'dates'?"),
        ({"exclude": 5}, "exclude: expected a list of dates"),
        (
            {"start": "2026-02-01 10:00", "end": "2026-02-02 08:00"},
            "trigger_args: it can never fire: its start, its end and what it excludes leave no",
        ),
        (
            {"exclude": {"windows": [{"from": "08:00", "to": "10:00"}]}},
            "trigger_args: it can never fire",
        ),
    ],
    ids=["start", "end", "order", "most", "jitter", "key", "number", "window", "excluded"],
)
def test_limits_that_cannot_be_meant_are_refused(
    project: Project, change: dict[str, object], said: str
) -> None:
    tasks = project.engine()
    with pytest.raises(DefinitionError) as caught:
        tasks.add_task(beat, "cron", "a", hour=9, **change)
    assert said in str(caught.value)


def test_a_change_of_its_limits_moves_the_cursor(project: Project) -> None:
    """An occurrence that the new schedule would have had before is not made up."""
    tasks = project.engine()
    tasks.add_task(beat, "cron", "daily", hour="*", minute=0, jitter=3600)
    tasks.start()
    assert task_of(tasks, "daily").options["jitter"] == 3600
    tasks.shutdown()

    again = project.engine()
    again.add_task(beat, "cron", "daily", hour="*", minute=0)
    again.start()
    stored = again.ledger.stored(["daily"])["daily"]
    assert stored.cursor > stored.anchor
    assert again.list_runs("daily") == []


def test_plugins_offer_triggers_and_their_faults_stay_with_them(project: Project) -> None:
    project.plugin(HOOK)
    tasks = project.start()

    finals(tasks, "often", 3)
    finals(tasks, "both", 2)
    eventually(lambda: task_of(tasks, "ends").status is TaskState.FINISHED)
    assert task_of(tasks, "backwards").status is TaskState.FINISHED
    said = "\n".join(str(each) for plugin in tasks.list_plugins() for each in plugin.problems)
    assert "ValueError: seconds: expected more than 0" in said
    assert "expected a trigger with next_after(instant) of its plugin, got 5" in said
    assert "taskrack_triggers: expected a new name and a function, got 'number'" in said
    assert "unknown trigger 'number'" in said
    assert {task.id for task in tasks.list_tasks()} == {"often", "ends", "backwards", "both"}
    found = tasks.preview("soon", {"seconds": 2}, after=datetime(2026, 1, 1, tzinfo=UTC), count=2)
    assert [each.second for each in found] == [2, 4]


def test_a_preview_takes_what_narrows_a_schedule(project: Project) -> None:
    """As a definition writes it: start, end, exclusions and a jitter."""
    words = ("preview", "0 9 * * *", "--timezone", "Europe/Berlin", "--after", "2026-12-23 12:00")
    text = command(*words, "--exclude", '{"holidays": "DE", "dates": ["12-24"]}', "-n", "2")
    first, _, *rows = text.splitlines()
    assert first == (
        "at 09:00 every day, Europe/Berlin, "
        "but not on 12-24 of any year or on public holidays of DE"
    )
    assert [row[:15] for row in rows] == ["Sun  2026-12-27", "Mon  2026-12-28"]
    text = command(*words, "--start", "2027-03-01", "--end", "2027-03-02 12:00")
    assert [row[5:15] for row in text.splitlines()[2:]] == ["2027-03-01", "2027-03-02"]
    one = command(*words, "--jitter", "600", "--id", "a", "--json")
    assert one != command(*words, "--jitter", "600", "--id", "b", "--json")
    assert "--exclude: expected JSON, got '[5'" in command(*words, "--exclude", "[5", code=2)
    said = command("preview", "hours=2", "--trigger", "interval", code=2)
    assert "expected the arguments of 'interval' as a JSON object such as '{\"hours\": 2}'" in said
    said = command("preview", "0 9 * * *", "--timezone", "Europe/Berln", code=1)
    assert "got 'Europe/Berln', did you mean 'Europe/Berlin'?" in said
    assert "exclude.dates: expected dates" in command(*words, "--exclude", "[5]", code=1)
