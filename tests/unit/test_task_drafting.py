"""From what was written to a definition."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.errors import DefinitionError
from core.policy import Overlap, OverlapPolicy
from manager.task.drafting import Drafter

HOURLY: dict[str, Any] = {
    "id": "sync",
    "func": print,
    "trigger": "interval",
    "trigger_args": {"hours": 1},
}


@pytest.mark.parametrize(
    ("retry", "longest"),
    [
        ({"backoff": "fixed", "delay": 300}, 300),
        ({"backoff": [1, 600]}, 600),
        ({"backoff": "fixed", "delay": 300, "max_delay": 60}, 60),
        ({"delay": 5}, 60),
    ],
    ids=["fixed", "listed", "capped on purpose", "default"],
)
def test_a_longer_pause_that_was_written_out_holds(retry: dict[str, Any], longest: int) -> None:
    """The default cap of a minute is a default; a cap that was written is a cap."""
    definition, _ = Drafter().draft(HOURLY | {"retry": retry}, plugin="p", source="p.py")
    assert definition.retry.delay_before(20) == timedelta(seconds=longest)


@pytest.mark.parametrize(
    ("overlap", "policy", "room"),
    [
        ("skip", OverlapPolicy(Overlap.SKIP, 1), 1),
        ("queue", OverlapPolicy(Overlap.QUEUE, 1), None),
        ("replace", OverlapPolicy(Overlap.REPLACE, 1), None),
        ("allow", OverlapPolicy(Overlap.ALLOW, None), None),
        (3, OverlapPolicy(Overlap.ALLOW, 3), 3),
        ({"allow": 3}, OverlapPolicy(Overlap.ALLOW, 3), 3),
        ({"queue": 3}, OverlapPolicy(Overlap.QUEUE, 1, waiting=3), 4),
    ],
    ids=["skip", "queue", "replace", "allow", "number", "bounded-allow", "bounded-queue"],
)
def test_overlap_is_read_as_documented(
    overlap: object, policy: OverlapPolicy, room: int | None
) -> None:
    """A number is short for a bounded allow; what has no room is skipped."""
    definition, _ = Drafter().draft(HOURLY | {"overlap": overlap}, plugin="p", source="p.py")
    assert definition.overlap == policy
    assert definition.overlap.room == room


@pytest.mark.parametrize(
    "overlap",
    [{"allow": 0}, {"queue": True}, {"skip": 1}, {"queue": 1, "allow": 1}, {}, "wait", 0],
    ids=["none", "flag", "unbounded", "two", "empty", "unknown", "zero"],
)
def test_an_overlap_that_is_none_of_these_is_named(overlap: object) -> None:
    """The message names every form."""
    with pytest.raises(DefinitionError, match=r"overlap: expected 'skip'.*or \{'allow': 3\}"):
        Drafter().draft(HOURLY | {"overlap": overlap}, plugin="p", source="p.py")


@pytest.mark.parametrize(
    ("trigger", "sound", "faulty"),
    [("interval", {"seconds": 1}, {"seconds": True}), ("cron", {"hour": 1}, {"hour": True})],
)
def test_what_other_tasks_wrote_makes_no_fault_pass(
    trigger: str, sound: dict[str, Any], faulty: dict[str, Any]
) -> None:
    """1 and ``True`` are equal to Python, and not to a schedule, whichever came before."""
    written = HOURLY | {"trigger": trigger}
    Drafter().draft(written | {"trigger_args": sound}, plugin="p", source="p.py")
    with pytest.raises(DefinitionError, match="got true"):
        Drafter().draft(written | {"trigger_args": faulty}, plugin="p", source="p.py")


def test_tasks_with_equal_arguments_do_not_share_them() -> None:
    """Whoever changes one definition's arguments changes no other task."""
    first, _ = Drafter().draft(HOURLY, plugin="p", source="p.py")
    second, _ = Drafter().draft(HOURLY | {"id": "other"}, plugin="p", source="p.py")
    assert first.trigger_args == second.trigger_args
    assert first.trigger_args is not second.trigger_args
