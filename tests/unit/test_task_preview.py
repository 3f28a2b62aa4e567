"""What a schedule will do, asked of a task manager that is not started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from configurations import Xcorecfg
from core.errors import DefinitionError
from manager.task.previewing import preview
from manager.task.taskmanager import TaskManager

START: Final = datetime(2026, 3, 27, tzinfo=UTC)


def test_a_cron_string_is_previewed_in_its_zone() -> None:
    """Through the night on which Berlin sets its clock; nothing is registered."""
    tasks = TaskManager(Xcorecfg())
    arguments = {"expression": "30 2 * * *"}
    found = tasks.preview("cron", arguments, timezone="Europe/Berlin", after=START, count=4)
    assert [f"{at:%d %H:%M %z}" for at in found] == [
        "27 01:30 +0000",
        "28 01:30 +0000",
        "29 01:00 +0000",
        "30 00:30 +0000",
    ]
    assert tasks.list_tasks() == []


def test_the_settings_name_the_zone_that_a_call_leaves_out() -> None:
    """And an interval counts from the instant that is asked for."""
    tasks = TaskManager(Xcorecfg(timezone="Asia/Tokyo"))
    (nine,) = tasks.preview("cron", {"hour": 9}, after=START, count=1)
    assert nine == datetime(2026, 3, 28, 0, tzinfo=UTC)
    every = tasks.preview("interval", {"hours": 36}, after=START, count=2)
    assert every == [START + timedelta(hours=36), START + timedelta(hours=72)]
    assert len(tasks.preview("interval", {"hours": 1})) == 10
    assert tasks.preview("date", {"run_date": "2020-01-01"}, after=START) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trigger": "crn"}, "did you mean 'cron'?"),
        ({"trigger_args": {"expression": "61 * * * *"}}, "minute: expected 0-59, got '61'"),
        ({"timezone": "No/Where"}, "expected an IANA time zone"),
        ({"dst": "never"}, "dst: expected 'once', 'both' or 'skip', got 'never'"),
        ({"after": datetime(2026, 1, 1)}, "expected an instant with an offset"),  # noqa: DTZ001
    ],
    ids=["trigger", "expression", "zone", "dst", "naive"],
)
def test_what_makes_no_schedule_is_refused(change: dict[str, Any], said: str) -> None:
    """With the words that a definition would get."""
    sound: dict[str, Any] = {
        "trigger": "cron",
        "trigger_args": {"expression": "0 9 * * *"},
        "timezone": "UTC",
        "after": START,
        "count": 1,
    }
    with pytest.raises(DefinitionError) as caught:
        preview(**(sound | change))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("jitter", each) for each in (float("nan"), float("inf"), 1e300, -5, True, "5")),
        *(("start", each) for each in (5, True, "0001-01-01", b"x")),
        *(("end", each) for each in (5, False, "9999-12-31T23:59")),
        *(("exclude", each) for each in (0, False, "2026-12-24")),
        *(("count", each) for each in (None, -1, True, 2.5)),
        ("after", "2026-01-01"),
        ("trigger_args", None),
        ("exclude", {"windows": [{"from": "0001-01-01 00:00", "to": "9999-12-31 23:00"}]}),
    ],
    ids=str,
)
def test_a_preview_names_every_value_of_a_wrong_kind(name: str, value: object) -> None:
    """What a definition would refuse is neither passed over nor a bare error of arithmetic."""
    given: dict[str, Any] = {"trigger_args": {"hour": 3}, "count": 2, "after": START, name: value}
    with pytest.raises(DefinitionError, match=name):
        TaskManager().preview("cron", **given)
