"""Why a task ran, did not, or will: every answer from rows of a ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from configurations import Xcorecfg
from core.errors import TriggerError, UnknownTaskError
from core.policy import CatchUp, Dst
from core.records import Ending, Firing
from core.run import Attempt, Cause, Reason, Run, RunState
from manager.storage import Database, SqlLedger
from manager.task.foretelling import explanation_of, forecast_of
from tests.engine_tools import ALLOW, due, lease, node, run_of, task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.schemas.foretelling import Explanation
    from manager.task.foretelling import Wish

NOW: Final = datetime(2026, 10, 26, 12, 0, tzinfo=UTC)
REGISTERED: Final = datetime(2026, 3, 1, tzinfo=UTC)
NIGHT: Final = datetime(2026, 10, 20, 2, 30, tzinfo=UTC)
"""An occurrence of the nightly task."""
SECOND: Final = timedelta(seconds=1)
HOUR: Final = timedelta(hours=1)


class Past:
    """A ledger in memory to write a past into, and to ask about it at noon of 26 October 2026."""

    def __init__(self) -> None:
        self.ledger = SqlLedger(Database("sqlite://"))
        self.ledger.open()

    def task(self, cursor: datetime = NOW, since: datetime = REGISTERED, **options: Any) -> None:  # noqa: ANN401 - columns
        """Register the nightly task at *since*; what is due is decided until *cursor*."""
        known: dict[str, Any] = {"trigger": "cron", "trigger_args": {"hour": 2, "minute": 30}}
        definition = task("nightly", **known | options)
        self.ledger.bind([(definition, None)], "here", since)
        if cursor > since:
            self._fire(since, cursor)

    def fires(self, since: datetime, cursor: datetime, at: datetime) -> Run:
        """Let the last run that the task may start be decided."""
        begun = {"attempt": 1, "token": 1, "node": "here", "started_at": at}
        run = due("nightly", at, state=RunState.RUNNING, **begun)
        self._fire(since, cursor, run, left=1)
        return run

    def _fire(self, since: datetime, cursor: datetime, *runs: Run, left: int | None = None) -> None:
        firing = Firing(
            task_id="nightly",
            since=since,
            cursor=cursor,
            next_run=cursor + HOUR,
            runs=runs,
            left=left,
        )
        assert self.ledger.transact(lambda tx: tx.fire([firing])).beaten == frozenset()

    def run(self, **columns: Any) -> Run:  # noqa: ANN401 - columns
        """Write a run of the occurrence at half past two on 20 October, completed unless said."""
        at = columns.pop("at", NIGHT)
        known: dict[str, Any] = {
            "state": RunState.COMPLETED,
            "attempt": 1,
            "created_at": at,
            "started_at": at,
            "finished_at": at + 4 * SECOND,
        }
        run = due("nightly", at, **known | columns)
        self.ledger.transact(lambda tx: tx.insert(run))
        return run

    def container(self, *, timed: bool = True, bound: bool = True) -> None:
        """Let a container be alive, which has the function or not."""
        own = node("here" if bound else "other", timed=timed)
        self.ledger.join(own, NOW, lease(NOW + HOUR))

    def ask(self, at: datetime | str | None, **config: Any) -> Explanation:  # noqa: ANN401 - settings
        """Ask about the nightly task."""
        return explanation_of(self.ledger.reading, Xcorecfg(**config), NOW, "nightly", at)


@pytest.fixture
def past() -> Iterator[Past]:
    """Give an empty ledger."""
    made = Past()
    yield made
    made.ledger.close()


ROWS: Final[dict[str, tuple[dict[str, Any], str, list[str]]]] = {
    "completed": (
        {},
        "it ran and completed",
        [
            "it started at 2026-10-20 02:30:00 UTC, on time",
            "it ended at 2026-10-20 02:30:04 UTC; its last attempt took 4.0 s",
        ],
    ),
    "waited": (
        {"started_at": NIGHT + 65 * SECOND},
        "it ran and completed",
        [
            "it started at 2026-10-20 02:31:05 UTC, 1 min 5 s late",
            "it waited 1 min 5 s for a free place, or for an earlier run to end",
        ],
    ),
    "made up": (
        {"cause": Cause.CATCH_UP, "created_at": NIGHT + HOUR, "started_at": NIGHT + HOUR},
        "it ran and completed",
        [
            "it started at 2026-10-20 03:30:00 UTC, 1 h late",
            "it was made up 1 h after it was due (catch-up): until then no container fired it",
        ],
    ),
    "noticed late": (
        {"created_at": NIGHT + 5 * SECOND, "started_at": NIGHT + 5 * SECOND},
        "it ran and completed",
        ["it was noticed 5.0 s after it was due"],
    ),
    "failed": (
        {"state": RunState.FAILED, "reason": Reason.EXCEPTION, "error": "ValueError: no\nmore"},
        "it ran and failed: its last attempt raised an exception",
        ["its error: ValueError: no more"],
    ),
    "timed out": (
        {"state": RunState.FAILED, "reason": Reason.TIMEOUT},
        "it ran and failed: its last attempt took too long",
        [],
    ),
    "crashed": (
        {"state": RunState.FAILED, "reason": Reason.CRASH, "crashes": 3},
        "it ran and failed: its process died again and again",
        ["its process died under it 3 times"],
    ),
    "lost": (
        {"state": RunState.LOST, "reason": Reason.CRASH, "crashes": 1},
        "it was lost: its process died while it ran, and it must not be started twice",
        ["its process died under it once"],
    ),
    "interrupted": (
        {"state": RunState.LOST, "reason": Reason.INTERRUPTED},
        "it was lost: the container was shut down while it ran, and it must not be started twice",
        [],
    ),
    "cancelled": (
        {"state": RunState.CANCELLED, "reason": Reason.REQUESTED},
        "it was cancelled: somebody asked for its end",
        [],
    ),
    "replaced": (
        {"state": RunState.CANCELLED, "reason": Reason.REPLACED, "started_at": None},
        "it was cancelled: it made room for the next occurrence",
        [],
    ),
    "paused": (
        {"state": RunState.SKIPPED, "reason": Reason.PAUSED, "started_at": None},
        "it was skipped: the task was paused",
        [],
    ),
    "missed": (
        {"state": RunState.MISSED, "reason": Reason.LATE, "started_at": None},
        "it was missed: no container fired it, and catch-up dropped it",
        ["the task's catch_up is 'none'", "its misfire_grace_time is 1 min"],
    ),
    "past": (
        {"state": RunState.MISSED, "reason": Reason.PAST, "started_at": None},
        "it was missed: the date had passed when it was registered",
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_run_says_what_became_of_it_and_why(past: Past, name: str) -> None:
    """Found by the minute in which it was due; the run itself is handed over."""
    columns, verdict, because = ROWS[name]
    past.task(catch_up=CatchUp.NONE, misfire_grace_time=60 * SECOND)
    run = past.run(**columns)
    found = past.ask("2026-10-20 02:30")
    assert (found.outcome, found.verdict) == (run.state.value, verdict)
    assert [each for each in because if each not in found.because] == []
    assert [each.id for each in found.runs] == [run.id]
    assert (found.previous, found.next) == (NIGHT - 24 * HOUR, NIGHT + 24 * HOUR)


def test_each_attempt_that_failed_is_named(past: Past) -> None:
    """With its time, its reason and its error; lateness counts from the first of them."""
    past.task()
    run = past.run(state=RunState.RUNNING, finished_at=None, token=1, attempt=1, node="here")
    failed = replace(
        run,
        state=RunState.FAILED,
        reason=Reason.EXCEPTION,
        error="OSError: gone",
        finished_at=NIGHT + SECOND,
    )
    attempt = Attempt.of(failed, NIGHT + SECOND)
    past.ledger.transact(lambda tx: tx.end([Ending(run=failed, token=1, attempt=attempt)]))
    found = past.ask(NIGHT)
    assert found.because[:2] == (
        "it started at 2026-10-20 02:30:00 UTC, on time",
        "attempt 1 ended at 2026-10-20 02:30:01 UTC: exception, OSError: gone",
    )


def test_a_skipped_occurrence_names_the_run_in_the_way(past: Past) -> None:
    past.task()
    earlier = past.run(at=NIGHT - 24 * HOUR, finished_at=NIGHT + HOUR)
    past.run(state=RunState.SKIPPED, reason=Reason.OVERLAP, started_at=None, finished_at=NIGHT)
    found = past.ask(NIGHT)
    assert found.verdict == "it was skipped: an earlier run of the task was not over"
    way = f"run {earlier.id}, due at 2026-10-19 02:30:00 UTC, was in the way"
    assert found.because == (
        f"{way}; it ended at 2026-10-20 03:30:00 UTC",
        "the task's overlap is 'skip'",
    )


def test_a_minute_with_several_runs_tells_of_the_first_and_counts_the_others(past: Past) -> None:
    past.task(trigger="interval", trigger_args={"seconds": 15})
    skipped = {"state": RunState.SKIPPED, "reason": Reason.OVERLAP, "started_at": None}
    runs = [past.run(), *(past.run(at=NIGHT + n * 15 * SECOND, **skipped) for n in (1, 2))]
    runs.append(past.run(at=NIGHT + 45 * SECOND))
    found = past.ask("2026-10-20 02:30")
    assert found.outcome == "completed"
    assert found.because[-1] == "3 more of that time: 2 skipped, 1 completed"
    assert [each.id for each in found.runs] == [each.id for each in runs]
    assert past.ask("2026-10-20 02:30:15").outcome == "skipped"


@pytest.mark.parametrize("state", [RunState.MISSED, RunState.SKIPPED], ids=str)
def test_one_row_answers_for_all_the_occurrences_that_it_counts(
    past: Past, state: RunState
) -> None:
    """And for none before them."""
    past.task()
    reason = Reason.LATE if state is RunState.MISSED else Reason.PAUSED
    row = past.run(state=state, reason=reason, occurrences=3, started_at=None)
    counted = past.ask(NIGHT - 48 * HOUR)
    assert (counted.outcome, counted.runs[0].id) == (state.value, row.id)
    assert counted.because[:2] == (
        "it was due at 2026-10-18 02:30:00 UTC, among others",
        "one row stands for 3 occurrences up to 2026-10-20 02:30:00 UTC",
    )
    assert past.ask(NIGHT - 72 * HOUR).outcome == "unrecorded"


def waiting(**columns: Any) -> dict[str, Any]:  # noqa: ANN401 - columns
    """Return the columns of a run that waits."""
    known = {"state": RunState.PENDING, "attempt": 0, "started_at": None, "finished_at": None}
    return known | columns


def test_an_open_run_says_what_it_waits_for(past: Past) -> None:
    """A container, its time, an earlier run, a free place; in this order."""
    past.task(timeout=90 * SECOND)
    run = past.run(**waiting())
    assert past.ask(None).outcome == "pending"
    assert past.ask(NIGHT).because == ("no container is running; the next start goes on with it",)
    past.container()
    assert past.ask(NIGHT).because == (
        "0 of 10 places of 'thread' are busy; it starts within a moment",
    )
    other = run_of("other", NOW, state=RunState.RUNNING)
    past.ledger.transact(lambda tx: tx.insert(other))
    (full,) = past.ask(NIGHT, manager={"scheduler_thread_pool": 1}).because
    assert full == (
        "all 1 places of 'thread' are busy (manager.scheduler_thread_pool); "
        "it starts when one is free"
    )
    busy = past.run(at=NIGHT - 24 * HOUR, state=RunState.RUNNING, finished_at=None, node="here")
    assert past.ask(NIGHT).because == (
        f"it waits for an earlier run of the task: {busy.id} (overlap is 'skip')",
    )
    running = past.ask(NIGHT - 24 * HOUR)
    assert running.verdict == "it is running"
    assert running.because[1:] == (
        "attempt 1 runs since 7 d 9 h 30 min on here",
        "its time limit is 90 s",
    )
    assert {each.id for each in past.ask(None).runs} == {run.id, busy.id}


def test_a_run_whose_node_is_silent_is_said_to_be_cut_off_perhaps(past: Past) -> None:
    """Its process was killed, and nobody has found it yet; one that beats is not suspected."""
    past.task()
    past.run(state=RunState.RUNNING, finished_at=None, node="here")
    past.container()
    assert not any("last heard of" in text for text in past.ask(NIGHT).because)
    past.ledger.beat("here", NOW - 40 * SECOND, lease(NOW))
    assert past.ask(NIGHT).because[-1] == (
        "process 1 on elsewhere was last heard of 40.0 s ago and may have died; "
        "another node, or the next start, decides what becomes of the run"
    )


def test_a_run_that_retries_says_when(past: Past) -> None:
    past.task(overlap=ALLOW)
    past.run(**waiting(), at=NIGHT - 24 * HOUR)
    past.container(bound=False)
    assert past.ask(NIGHT - 24 * HOUR).because == (IDLE["unbound"],)
    past.container()
    past.run(**waiting(state=RunState.RETRYING, attempt=1, not_before=NOW + 30 * SECOND))
    found = past.ask(NIGHT)
    assert (found.outcome, found.verdict) == (
        "retrying",
        "an attempt failed, and it waits for its next one",
    )
    assert found.because == ("its next attempt may start at 2026-10-26 12:00:30 UTC, in 30.0 s",)


REPEATED: Final = (
    "Europe/Berlin set its clock back at 2026-10-25 02:00:00 CET: this is the second pass, "
    "and only the first one counts (dst is 'once')"
)
NOT_SHOWN: Final = (
    "Europe/Berlin set its clock forward at 2026-03-29 03:00:00 CEST: 02:30 was not shown that day"
)


@pytest.mark.parametrize(
    ("options", "at", "because"),
    [
        ({}, "2026-10-20 02:31", []),
        (
            {"start": NIGHT + HOUR},
            "2026-10-20 02:30",
            ["it is before the task's start, 2026-10-20 03:30:00 UTC"],
        ),
        (
            {"end": NIGHT - HOUR},
            "2026-10-20 02:30",
            ["it is after the task's end, 2026-10-20 01:30:00 UTC"],
        ),
        (
            {"exclude": {"dates": ["2026-10-20"]}},
            "2026-10-20 02:30",
            ["it falls on a date that is excluded from the schedule"],
        ),
        (
            {"exclude": {"dates": ["2026-10-21"], "holidays": {"country": "DE"}}},
            "2026-10-03 02:30",
            ["it falls on a public holiday, which is excluded from the schedule"],
        ),
        (
            {"exclude": {"windows": [{"from": "02:00", "to": "03:00", "weekdays": "tue"}]}},
            "2026-10-20 02:30",
            ["it falls into a window that is excluded from the schedule"],
        ),
        (
            {"trigger": "interval", "trigger_args": {"hours": 1}},
            "2026-02-01 02:30",
            ["an interval counts from 2026-03-01 00:00:00 UTC"],
        ),
        (
            {
                "trigger": "calendar",
                "trigger_args": {"months": 1, "day": 1},
                "start": datetime(2026, 12, 1, tzinfo=UTC),
            },
            "2026-10-01",
            ["a calendar counts from 2026-12-01 00:00:00 UTC"],
        ),
        (
            {"timezone": "Europe/Berlin"},
            "2026-10-25T02:30:00+01:00",
            [REPEATED],
        ),
        ({"timezone": "Europe/Berlin"}, "2026-10-25T02:15:00+01:00", []),
        (
            {"timezone": "Europe/Berlin", "dst": Dst.SKIP},
            "2026-03-29 02:30",
            [NOT_SHOWN],
        ),
    ],
    ids=[
        "other",
        "start",
        "end",
        "date",
        "holiday",
        "window",
        "anchor",
        "calendar",
        "second pass",
        "beside it",
        "gap",
    ],
)
def test_what_was_no_occurrence_says_why(
    past: Past, options: dict[str, Any], at: str, because: list[str]
) -> None:
    past.task(**options)
    found = past.ask(at)
    assert found.outcome == "not-due"
    assert found.verdict.endswith(" was no occurrence of its schedule")
    assert list(found.because) == because


def test_a_jitter_says_where_the_occurrence_went(past: Past) -> None:
    """The instant that it names is one that will answer."""
    past.task(jitter=1800 * SECOND)
    found = past.ask("2026-10-20 02:30")
    assert found.outcome == "not-due"
    assert found.next is not None
    (said,) = found.because
    assert said.startswith("its jitter puts that occurrence off to 2026-10-20 0")
    assert past.ask(found.next).outcome == "unrecorded"


def test_a_local_time_of_the_gap_leads_to_the_run_at_its_end(past: Past) -> None:
    past.task(timezone="Europe/Berlin")
    run = past.run(at=datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
    found = past.ask("2026-03-29 02:30")
    assert (found.outcome, found.runs[0].id) == ("completed", run.id)
    assert found.because[0] == (
        "Europe/Berlin sets its clock forward at 2026-03-29 03:00:00 CEST: "
        "02:30 is not shown, and due at the end of the gap"
    )
    assert past.ask("2026-03-29 02:10").outcome == "not-due"


def test_a_local_time_that_is_shown_twice_tells_both_passes(past: Past) -> None:
    """The pass that has a run is the one that is meant, whichever it is."""
    past.task(timezone="Europe/Berlin")
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    run = past.run(at=first)
    found = past.ask("2026-10-25 02:30")
    assert (found.at, found.runs[0].id) == (first, run.id)
    assert found.because[0] == (
        "02:30 is shown twice that day: due at 2026-10-25 02:30:00 CEST, "
        "not due at 2026-10-25 02:30:00 CET"
    )
    asked = run_of("nightly", second + 600 * SECOND, state=RunState.COMPLETED)
    past.ledger.transact(lambda tx: tx.insert(asked))
    by_hand = past.ask("2026-10-25 02:40")
    assert (by_hand.at, by_hand.outcome) == (second + 600 * SECOND, "completed")
    assert f"run {asked.id} is not one of the schedule: somebody asked for it by hand" in (
        by_hand.because
    )


def test_a_backfill_answers_for_its_occurrence(past: Past) -> None:
    """What was made up by hand for that very time is no hole in the ledger."""
    past.task()
    made_up = replace(run_of("nightly", NIGHT, state=RunState.COMPLETED), cause=Cause.BACKFILL)
    past.ledger.transact(lambda tx: tx.insert(made_up))
    found = past.ask("2026-10-20 02:30")
    assert (found.outcome, found.verdict) == ("completed", "it ran and completed")
    why = "somebody asked for a range of the past (backfill)"
    assert found.because[0] == f"run {made_up.id} is not one of the schedule: {why}"


def test_a_run_by_hand_does_not_answer_for_an_occurrence(past: Past) -> None:
    past.task()
    asked = run_of("nightly", NIGHT + 20 * SECOND, state=RunState.COMPLETED)
    past.ledger.transact(lambda tx: tx.insert(asked))
    found = past.ask("2026-10-20 02:30")
    assert found.outcome == "unrecorded"
    assert found.because[0] == f"run {asked.id} of that time was asked for otherwise"


@pytest.mark.parametrize(
    ("options", "because"),
    [
        (
            {"since": NIGHT + HOUR},
            "the task was first registered later, at 2026-10-20 03:30:00 UTC",
        ),
        ({}, "the ledger keeps no run of the task from then, it has none: "),
    ],
    ids=["registered later", "history"],
)
def test_an_occurrence_without_a_row_says_why(
    past: Past, options: dict[str, Any], because: str
) -> None:
    past.task(**options)
    found = past.ask(NIGHT)
    assert (found.outcome, found.verdict) == (
        "unrecorded",
        "no run is recorded for 2026-10-20 02:30:00 UTC",
    )
    assert found.because[0].startswith(because)


def test_history_tells_an_older_occurrence_from_one_that_should_be_there(past: Past) -> None:
    past.task()
    past.run(at=NIGHT - 48 * HOUR)
    (said,) = past.ask(NIGHT).because
    assert said.startswith("the definition's schedule was another one then, or the task was")


def test_a_schedule_that_has_used_up_its_most_says_so(past: Past) -> None:
    """Of what was decided after its last run, and of what is not decided any more."""
    past.task(cursor=REGISTERED, max_runs=1)
    run = past.fires(REGISTERED, NIGHT, at=NIGHT - 48 * HOUR)
    assert past.ask(NIGHT - 48 * HOUR).runs[0].id == run.id
    assert past.ask(NIGHT - 24 * HOUR).because == ("its schedule had started 1 of max_runs 1 runs",)
    finished = "the task is finished: its schedule has started max_runs runs"
    assert past.ask(NIGHT + 24 * HOUR).verdict == (
        f"it did not run at 2026-10-21 02:30:00 UTC: {finished}"
    )
    assert past.ask(None).outcome == "running"
    over = Ending(
        run=replace(run, state=RunState.COMPLETED, finished_at=NOW), token=1, attempt=None
    )
    past.ledger.transact(lambda tx: tx.end([over]))
    now = past.ask(None)
    assert (now.outcome, now.verdict) == (
        "finished",
        f"it is not running, and will not: {finished}",
    )


def test_a_schedule_that_cannot_be_read_is_an_error_that_says_why(past: Past) -> None:
    """A forecast goes on without the task."""
    past.task(exclude={"holidays": {"country": "XX"}})
    with pytest.raises(TriggerError, match="expected a country such as 'DE'"):
        past.ask(NIGHT)
    wish: Wish = {"days": 7, "start": None, "tasks": None}
    found = forecast_of(past.ledger.reading, Xcorecfg(), NOW, **wish)
    assert found.runs == ()
    assert found.notes[-1].startswith("nightly is left out: ")


def test_an_edit_since_then_is_named_with_what_held_before(past: Past) -> None:
    """Both ways: what was due under the old schedule, and what was not."""
    past.task()
    before, after = {"trigger_args": {"hour": 5}}, {"trigger_args": {"hour": 2, "minute": 30}}
    edit = ("ada", "update", "nightly", before, after)
    past.ledger.amend(lambda catalogue: catalogue.record(NOW - HOUR, *edit))
    said = "the schedule was changed since, at 2026-10-26 11:00:00 UTC by ada (update); "
    assert past.ask(NIGHT).because == (said + "as it stood before, it was not due then",)
    five = past.ask("2026-10-20 05:00")
    assert five.outcome == "not-due"
    assert five.because == (said + "as it stood before, it was due then",)


def test_what_is_to_come_is_foretold(past: Past) -> None:
    """It needs a container; a most may be used up before."""
    past.task(max_runs=2)
    found = past.ask("2026-10-27 02:30")
    assert (found.outcome, found.verdict) == (
        "due",
        "it will run at 2026-10-27 02:30:00 UTC, in 14 h 30 min",
    )
    assert found.because == ("no container is running; one must run then",)
    past.container()
    assert past.ask("2026-10-28 02:30").because == ()
    late = past.ask("2026-10-29 02:30")
    assert (late.outcome, late.because) == (
        "finished",
        ("max_runs leaves 2 runs, and 2 occurrences come before it",),
    )
    assert past.ask("2026-10-29 02:35").verdict == (
        "2026-10-29 02:35:00 UTC is no occurrence of its schedule"
    )


def test_what_is_not_decided_yet_says_what_a_start_would_do(past: Past) -> None:
    """The last of three nights is made up, the others are dropped; a container decides at once."""
    past.task(cursor=NOW - 60 * HOUR)
    last = NOW.replace(hour=2, minute=30)
    assert past.ask(last).because == (
        "no container has run since; the next start decides it",
        "a start now would make it up (catch_up is 'latest')",
    )
    assert past.ask(last - 24 * HOUR).because[-1] == (
        "a start now would drop it as missed (catch_up is 'latest')"
    )
    now = past.ask(None)
    assert (now.outcome, now.verdict) == (
        "undecided",
        "it was due at 2026-10-26 02:30:00 UTC, and no container is running",
    )
    past.container()
    assert past.ask(last).because == ("a container runs; it decides it now",)
    assert past.ask(None).outcome == "due"


IDLE: Final = {
    "paused": "the task is paused",
    "disabled": "the task is disabled",
    "unbound": "no container that runs has the task's function",
}


@pytest.mark.parametrize("state", IDLE)
def test_a_task_that_does_not_run_says_so_of_past_present_and_future(
    past: Past, state: str
) -> None:
    past.task(cursor=NIGHT, enabled=state != "disabled")
    if state == "paused":
        past.ledger.amend(lambda catalogue: catalogue.pause("nightly", paused=True))
        line = ("ada", "pause", "nightly", {"paused": False}, {"paused": True})
        past.ledger.amend(lambda catalogue: catalogue.record(NIGHT, *line))
    past.container(bound=state != "unbound")
    then, now, soon = (past.ask(at) for at in (NIGHT + 24 * HOUR, None, "2026-10-27 02:30"))
    assert {each.outcome for each in (then, now, soon)} == {state}
    assert then.verdict == f"it did not run at 2026-10-21 02:30:00 UTC: {IDLE[state]}"
    assert now.verdict == f"it is not running, and will not: {IDLE[state]}"
    assert soon.verdict.endswith(f"in 14 h 30 min: {IDLE[state]}")
    reasons = {
        "paused": (
            "ada paused it at 2026-10-20 02:30:00 UTC",
            "what falls due is recorded as skipped when it is resumed",
        ),
        "disabled": ("its definition says enabled: False",),
        "unbound": (),
    }
    assert then.because == reasons[state]


def test_a_container_that_times_nothing_is_named(past: Past) -> None:
    past.task()
    past.container(timed=False)
    found = past.ask(None)
    assert found.because == ("background_jobs_enabled is false where the container runs",)


def test_now_tells_the_next_and_the_last_run(past: Past) -> None:
    past.task()
    past.container()
    past.run()
    found = past.ask(None)
    assert (found.outcome, found.verdict) == (
        "due",
        "it is not due now; it will run at 2026-10-27 02:30:00 UTC, in 14 h 30 min",
    )
    assert found.because == ("its last run, due at 2026-10-20 02:30:00 UTC: it ran and completed",)


def test_a_date_that_has_gone_is_finished(past: Past) -> None:
    past.task(trigger="date", trigger_args={"run_date": "2026-10-20 02:30"})
    past.container()
    assert past.ask(None).verdict == "it is finished: no occurrence is left"
    assert past.ask("2026-10-21").previous == NIGHT


def test_a_trigger_of_a_plugin_is_not_known_from_the_ledger_alone(past: Past) -> None:
    """What is recorded is told all the same."""
    past.task(trigger="moon", trigger_args={})
    past.run()
    assert past.ask(NIGHT).outcome == "completed"
    other = past.ask(NIGHT + HOUR)
    assert (other.outcome, other.previous, other.next) == ("unrecorded", None, None)
    assert other.because == ("its trigger 'moon' belongs to a plugin, which is not loaded here",)
    assert past.ask(None).verdict == "it is not running"


@pytest.mark.parametrize(
    ("at", "instant"),
    [
        ("02:30", datetime(2026, 10, 26, 1, 30, tzinfo=UTC)),
        ("2:30:05", datetime(2026, 10, 26, 1, 30, 5, tzinfo=UTC)),
        ("2026-10-20 02:30", datetime(2026, 10, 20, 0, 30, tzinfo=UTC)),
        ("2026-10-20T02:30:00Z", NIGHT),
        (datetime(2026, 10, 20, 2, 30), datetime(2026, 10, 20, 0, 30, tzinfo=UTC)),  # noqa: DTZ001
        (NIGHT, NIGHT),
    ],
    ids=["clock", "seconds", "local", "offset", "naive", "aware"],
)
def test_a_time_is_read_in_the_zone_of_the_task(
    past: Past, at: datetime | str, instant: datetime
) -> None:
    past.task(timezone="Europe/Berlin")
    found = past.ask(at)
    assert found.at == instant == datetime.fromisoformat(found.local)


@pytest.mark.parametrize("at", ["0002-01-01", "9998-12-31 23:59:59+00:00"], ids=["old", "far"])
def test_the_ends_of_the_calendar_have_an_answer(past: Past, at: str) -> None:
    past.task(timezone="America/New_York", jitter=60 * SECOND)
    assert past.ask(at).outcome == "not-due"


def test_what_is_no_time_and_no_task_is_refused(past: Past) -> None:
    past.task()
    for wrong in ("tomorrow", "25:00", "", "2026-13-01", "0001-01-01", "9999-12-31 23:59"):
        with pytest.raises(ValueError, match="expected a time such as '02:30'"):
            past.ask(wrong)
    with pytest.raises(UnknownTaskError, match="nightly"):
        explanation_of(past.ledger.reading, Xcorecfg(), NOW, "nihgtly", None)
