"""Definitions that nobody would write: refused with a reason, or a task that can be stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configurations import Xcorecfg
from core.errors import DefinitionError
from core.trigger import Schedule
from manager.scheduling import build_trigger
from manager.schemas.definition import EXPECTED
from manager.storage.rows import task_row
from manager.task.drafting import Drafter
from manager.task.taskmanager import TaskManager
from tests.fuzzing import (
    CALLABLES,
    FUZZ,
    LONGEST_PROBLEM,
    ODD_NUMBERS,
    ODD_TEXTS,
    anything,
    is_key,
    patient,
    plain,
)

if TYPE_CHECKING:
    from core.definition import TaskDefinition

NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
FIELDS = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
UNITS = ("weeks", "days", "hours", "minutes", "seconds")
expressions = st.one_of(
    st.integers(-1, 70),
    st.integers(1, 5_000).map(lambda step: f"*/{step}"),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.sampled_from([*ODD_TEXTS, "*", "last", "1st mon", "jan-mar", "mon-fri", "feb"]),
    st.sampled_from(ODD_NUMBERS),
)
cron = st.dictionaries(st.sampled_from(FIELDS), expressions, min_size=1, max_size=5)
interval = st.dictionaries(
    st.sampled_from(UNITS), st.sampled_from(ODD_NUMBERS) | st.floats() | st.integers(), max_size=5
)
once = st.fixed_dictionaries({"run_date": anything})
schedules = st.one_of(
    cron.map(lambda each: {"trigger": "cron", "trigger_args": each}),
    interval.map(lambda each: {"trigger": "interval", "trigger_args": each}),
    once.map(lambda each: {"trigger": "date", "trigger_args": each}),
)
sound = st.builds(
    lambda func, schedule: {"id": "sound", "func": func, **schedule},
    st.sampled_from(CALLABLES),
    schedules,
)
retries = st.dictionaries(
    st.sampled_from(["backoff", "delay", "max_delay", "jitter", "retry_on", "never_on", "x"]),
    anything,
    max_size=3,
)
changes = st.dictionaries(
    st.sampled_from([name for name in EXPECTED if "." not in name]) | st.text(max_size=10),
    anything,
    max_size=3,
)
definitions = st.builds(
    lambda base, change, retry: base | change | ({"retry": retry} if retry else {}),
    sound,
    changes,
    retries,
)


def check_problems(error: DefinitionError, place: str) -> None:
    """Each says where it is, and what was expected and found, in one readable line."""
    assert str(error).startswith(place)
    assert error.problems
    for problem in error.problems:
        text = str(problem)
        assert len(text) < LONGEST_PROBLEM
        text.encode()
        words = ("expected ", "unknown ", "missing; expected ", "it can never fire: ")
        assert any(word in problem.what for word in words), text


def check_storable(definition: TaskDefinition) -> None:
    """A task that was taken has a next run or none, and a row that a database takes."""
    schedule = Schedule.of(definition.trigger, definition.trigger_args, definition.timezone, NOW)
    due = build_trigger(schedule).next_after(NOW)
    assert due is None or due > NOW
    assert definition.fingerprint
    row = task_row(definition, due)
    for value in row.values():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        text.encode()


def drafted(data: object) -> None:
    with patient():
        try:
            definition, _ = Drafter().draft(data, plugin="p", source="file.py, TASK_DEFINITIONS[0]")
        except DefinitionError as error:
            check_problems(error, "file.py, TASK_DEFINITIONS[0]: ")
        else:
            check_storable(definition)


@pytest.mark.item("X16")
@pytest.mark.item("X21")
@settings(FUZZ, max_examples=900)
@given(definitions)
@example({"id": "x", "func": plain, "trigger": "cron", "trigger_args": {"week": 53, "month": 6}})
@example({"id": "\ud800", "func": plain, "trigger": "date", "trigger_args": {}})
def test_a_definition_is_refused_with_its_problems_or_makes_a_task(data: dict[str, Any]) -> None:
    """Whatever the values are: never another error, never more than a second."""
    drafted(data)


@settings(FUZZ, max_examples=200)
@given(anything | st.dictionaries(anything.filter(is_key), anything))
def test_what_is_no_definition_at_all_is_refused(data: object) -> None:
    """Neither a dict nor a ``TaskDefinition``, or a dict of other keys."""
    drafted(data)


@pytest.mark.item("X21")
@settings(FUZZ, max_examples=900)
@given(definitions)
def test_add_task_raises_our_error_or_returns_the_task(data: dict[str, Any]) -> None:
    """The trigger's arguments and the options come mixed, as the seed has them."""
    tasks = TaskManager(Xcorecfg())
    data = dict(data)
    func, trigger, task_id = data.pop("func", None), data.pop("trigger"), data.pop("id")
    arguments = data.pop("trigger_args")
    mixed = arguments if isinstance(arguments, dict) else {"trigger_args": arguments}
    with patient():
        try:
            task = tasks.add_task(func, trigger, task_id, **{**mixed, **data})
        except DefinitionError as error:
            check_problems(error, "add_task(")
        else:
            assert tasks.list_tasks() == [task]


@pytest.mark.parametrize(
    "fields",
    [
        {"week": 53, "month": 6},
        {"day": 31, "month": "feb"},
        {"week": 53, "month": 6, "second": "*"},
        {"week": 1, "month": "3-11", "year": "*/2"},
        {"year": "2000-9999", "day": "5th fri", "month": 2, "week": 1},
    ],
    ids=repr,
)
def test_a_schedule_that_never_occurs_is_refused_within_a_second(fields: dict[str, Any]) -> None:
    """The calendar repeats every 400 years; nothing is looked for behind that."""
    with patient(), pytest.raises(DefinitionError, match="it can never fire"):
        _next({"trigger": "cron", "trigger_args": fields})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"month": 2, "day": 29, "day_of_week": "mon"}, datetime(2044, 2, 29, tzinfo=UTC)),
        ({"month": 2, "day": "5th sun"}, datetime(2032, 2, 29, tzinfo=UTC)),
        ({"week": 53, "day_of_week": "sun", "day": 3}, datetime(2027, 1, 3, tzinfo=UTC)),
        ({"year": 2600}, datetime(2600, 1, 1, tzinfo=UTC)),
        ({"year": 9999, "month": 12}, datetime(9999, 12, 1, tzinfo=UTC)),
    ],
    ids=repr,
)
def test_a_rare_schedule_is_found(fields: dict[str, Any], expected: datetime) -> None:
    """The end of the search takes nothing from what does occur."""
    with patient():
        assert _next({"trigger": "cron", "trigger_args": fields}) == expected


def _next(schedule: dict[str, Any]) -> datetime | None:
    data = {"id": "x", "func": plain, **schedule}
    definition, _ = Drafter().draft(data, plugin="p", source="s")
    made = Schedule.of(definition.trigger, definition.trigger_args, definition.timezone, NOW)
    return build_trigger(made).next_after(NOW)
