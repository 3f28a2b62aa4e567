"""Overlap, event by event, in the words of Temporal's schedule policies.

A schedule is due every 60 seconds and its work takes longer. Temporal documents: Skip starts
nothing while a run is open; BufferOne starts one more as soon as that has ended, the first that
came; BufferAll starts each, one after the other; CancelOther cancels the open run and starts when
its cancellation is complete; TerminateOther starts at once; AllowAll starts beside it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.run import Reason, RunState

if TYPE_CHECKING:
    from manager.testing import Lab

START = datetime(2026, 1, 1, tzinfo=UTC)
Event = tuple[float, str, int]


def timeline(lab: Lab) -> list[Event]:
    """Return what happened as (second, event, second at which the run was due), in order."""
    events: list[Event] = []
    for run in lab.runs("t"):
        due = int(since(run.scheduled_for))
        if run.attempt and run.started_at is not None:
            events.append((since(run.started_at), "start", due))
        if run.finished_at is not None:
            events.append((since(run.finished_at), run.state.value, due))
        if run.state is RunState.SKIPPED:
            assert run.reason is Reason.OVERLAP
        if run.state is RunState.CANCELLED:
            assert run.reason is Reason.REPLACED
    return sorted(events, key=lambda event: (event[0], event[1] == "start", event[2]))


def since(moment: datetime) -> float:
    return (moment - START).total_seconds()


async def work() -> None:
    await asyncio.sleep(130)


SKIP: list[Event] = [
    (60, "start", 60), (120, "skipped", 120), (180, "skipped", 180), (190, "completed", 60),
    (240, "start", 240), (300, "skipped", 300), (360, "skipped", 360), (370, "completed", 240),
    (420, "start", 420),
]  # fmt: skip
BUFFER_ONE: list[Event] = [
    (60, "start", 60), (180, "skipped", 180), (190, "completed", 60),
    (190, "start", 120), (300, "skipped", 300), (320, "completed", 120),
    (320, "start", 240), (420, "skipped", 420),
]  # fmt: skip
BUFFER_ALL: list[Event] = [
    (60, "start", 60), (190, "completed", 60),
    (190, "start", 120), (320, "completed", 120),
    (320, "start", 180),
]  # fmt: skip
REPLACE: list[Event] = [
    (60, "start", 60), (120, "cancelled", 60),
    (120, "start", 120), (180, "cancelled", 120),
    (180, "start", 180), (240, "cancelled", 180),
    (240, "start", 240), (300, "cancelled", 240),
    (300, "start", 300), (360, "cancelled", 300),
    (360, "start", 360), (420, "cancelled", 360),
    (420, "start", 420),
]  # fmt: skip
ALLOW_ALL: list[Event] = [
    (60, "start", 60), (120, "start", 120), (180, "start", 180), (190, "completed", 60),
    (240, "start", 240), (250, "completed", 120), (300, "start", 300), (310, "completed", 180),
    (360, "start", 360), (370, "completed", 240), (420, "start", 420),
]  # fmt: skip
ALLOW_TWO: list[Event] = [
    (60, "start", 60), (120, "start", 120), (180, "skipped", 180), (190, "completed", 60),
    (240, "start", 240), (250, "completed", 120), (300, "start", 300), (360, "skipped", 360),
    (370, "completed", 240), (420, "start", 420),
]  # fmt: skip
BUFFER_TWO: list[Event] = [
    (60, "start", 60), (190, "completed", 60),
    (190, "start", 120), (300, "skipped", 300), (320, "completed", 120),
    (320, "start", 180), (420, "skipped", 420),
]  # fmt: skip


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", SKIP),
        ({"queue": 1}, BUFFER_ONE),
        ({"queue": 2}, BUFFER_TWO),
        ("queue", BUFFER_ALL),
        ("replace", REPLACE),
        ("allow", ALLOW_ALL),
        ({"allow": 2}, ALLOW_TWO),
        (2, ALLOW_TWO),
    ],
    ids=[
        "Skip", "BufferOne", "buffer-two", "BufferAll", "TerminateOther", "AllowAll", "allow-two",
        "number",
    ],
)  # fmt: skip
def test_an_overlap_policy_has_the_timeline_that_is_documented(
    lab: Lab, overlap: object, expected: list[Event]
) -> None:
    """Work of 130 seconds, due every 60, watched for seven minutes."""
    lab.define("t", work, "interval", {"seconds": 60}, overlap=overlap, max_retries=0)
    lab.advance("7 min")
    assert timeline(lab) == expected


def test_a_replaced_run_cleans_up_before_the_next_starts(lab: Lab) -> None:
    """CancelOther: the start waits for the end of the cancellation, here of three seconds."""

    async def tidy() -> None:
        try:
            await asyncio.sleep(130)
        finally:
            await asyncio.sleep(3)

    lab.define("t", tidy, "interval", {"seconds": 60}, overlap="replace", max_retries=0)
    lab.advance("3 min 10 s")
    assert timeline(lab) == [
        (60, "start", 60),
        (123, "cancelled", 60),
        (123, "start", 120),
        (183, "cancelled", 120),
        (183, "start", 180),
    ]


def test_a_plain_function_is_replaced_when_it_ends(lab: Lab) -> None:
    """Nothing can stop a thread: the next waits, and of those that wait the last is kept."""
    lab.define("t", trigger="interval", trigger_args={"seconds": 60}, overlap="replace")
    lab.takes("t", "130 s")
    lab.advance("4 min")
    assert timeline(lab) == [
        (60, "start", 60),
        (180, "cancelled", 120),
        (190, "completed", 60),
        (190, "start", 180),
    ]


def test_a_task_that_ends_as_it_is_due_again_skips_nothing(lab: Lab) -> None:
    """Work of exactly 60 seconds, due every 60, is never busy when it is due."""
    lab.define("t", trigger="interval", trigger_args={"seconds": 60})
    lab.takes("t", "60 s")
    lab.advance("10 min")
    assert {run.state for run in lab.runs("t")} == {RunState.COMPLETED, RunState.RUNNING}
    assert len(lab.runs("t")) == 10
