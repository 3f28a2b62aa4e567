"""What was foretold is what the engine then did."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from configurations import Xcorecfg
from core.run import RunState
from manager.schemas.foretelling import Fate
from manager.task.foretelling import explanation_of, forecast_of
from tests.engine_tools import HOUR, SECOND, Lab, due, task
from tests.unit.test_foresight_forecast import NOW, drawn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from manager.schemas.foretelling import Explanation, Forecast
    from manager.task.foretelling import Wish

DAYS: Final = 14
ALL: Final = 1_000_000


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Give a lab in October, a few days before most zones set their clocks."""
    built = Lab()
    built.clock.wall = NOW
    built.threads.size = ALL
    yield built
    built.close()


def foretold(lab: Lab, days: float = DAYS) -> Forecast:
    """Return the forecast that the lab's ledger gives."""
    wish: Wish = {"days": days, "start": None, "tasks": None}
    return forecast_of(lab.ledger.reading, Xcorecfg(), lab.clock.now(), **wish)


def explained(lab: Lab, task_id: str, at: datetime) -> Explanation:
    """Return what the lab's ledger says of a task at an instant."""
    return explanation_of(lab.ledger.reading, Xcorecfg(), lab.clock.now(), task_id, at)


def let_pass(lab: Lab, until: datetime) -> None:
    """Let time pass from occurrence to occurrence; each call ends at once."""
    while (moment := lab.engine._book.earliest()) is not None and moment <= until:
        lab.clock.advance(max(moment - lab.clock.now(), timedelta(0)))
        lab.engine.step()
        lab.threads.end()
        lab.engine.step()


def test_the_engine_does_what_was_foretold(lab: Lab) -> None:
    """Fifty schedules with windows, jitters and mosts, two weeks, through a clock change."""
    definitions = [
        replace(drawn(number), max_runs=5 if number % 10 == 0 else None) for number in range(50)
    ]
    lab.start(*definitions)
    found = foretold(lab)

    let_pass(lab, NOW + timedelta(days=DAYS))

    runs = [run for run in lab.ledger.reading.runs(limit=ALL) if run.state is RunState.COMPLETED]
    done = sorted((run.scheduled_for, run.task_id) for run in runs)
    assert len(done) > 800
    assert [(run.at, run.task_id) for run in found.runs] == done


def test_a_forecast_later_on_is_the_rest_of_the_first(lab: Lab) -> None:
    """What has run meanwhile is counted where a task has a most."""
    lab.start(*(replace(drawn(number), max_runs=9) for number in range(20)))
    first = foretold(lab)
    let_pass(lab, NOW + timedelta(days=5))
    lab.clock.advance(NOW + timedelta(days=5) - lab.clock.now())

    later = foretold(lab, DAYS - 5)

    assert later.runs == tuple(run for run in first.runs if run.at > later.start)
    assert 0 < len(later.runs) < len(first.runs)


def test_explanations_agree_with_the_forecast_before_and_after(lab: Lab) -> None:
    """What is foretold is due, and has completed afterwards; what lies between is no occurrence."""
    lab.start(*(drawn(number) for number in range(25)))
    runs = foretold(lab, 7).runs[::7]
    assert len(runs) > 30

    def outcomes(shift: timedelta) -> set[str]:
        return {str(explained(lab, run.task_id, run.at + shift).outcome) for run in runs}

    assert (outcomes(0 * SECOND), outcomes(61 * SECOND)) == ({Fate.DUE}, {Fate.NOT_DUE})
    let_pass(lab, NOW + timedelta(days=7))
    assert outcomes(0 * SECOND) == {RunState.COMPLETED}
    assert outcomes(61 * SECOND) == {Fate.NOT_DUE}
    for run in runs:
        found = explained(lab, run.task_id, run.at)
        assert [each.scheduled_for for each in found.runs] == [run.at]
        assert found.because[0].endswith(", on time")


def test_expected_durations_come_from_the_last_twenty_runs(lab: Lab) -> None:
    """Of those that ran to their end; the skipped, the older and other tasks do not count."""
    lab.start(task("hourly"), task("other"))

    def ended(number: int, seconds: int, state: RunState = RunState.COMPLETED) -> None:
        at = NOW - (60 - number) * HOUR
        columns = {"started_at": at, "finished_at": at + seconds * SECOND}
        if state is RunState.SKIPPED:
            columns = {"finished_at": at}
        run = due("hourly", at, state=state, **columns)
        lab.ledger.transact(lambda tx: tx.insert(run))

    for number in range(5):
        ended(number, 90_000)
    for number in range(5, 25):
        ended(number, 5_400 + (1_800 if number % 2 else -1_800))
        ended(number + 20, 1, RunState.SKIPPED)
    known = lab.ledger.reading.evidence.durations(["hourly", "other"])
    assert known == {"hourly": (5_400.0, 7_200.0)}

    found = foretold(lab, 1)

    (overlap,) = found.overlaps
    assert (overlap.task_id, overlap.does, overlap.count) == ("hourly", "skipped", 12)
    assert overlap.first == tuple(NOW + n * HOUR for n in (2, 4, 6))
    assert found.load is not None
    assert (found.load.running, found.load.places) == (1, 10)
