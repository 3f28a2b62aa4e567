"""The triggers give what the oracle gave, row by row."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from core.errors import TriggerError
from tests.conformance import features
from tests.conformance.asking import first, trigger_for, trigger_of
from tests.conformance.oracle import answered
from tests.conformance.questions import ZONES, questions
from tests.conformance.rows import CORPUS, Question, Row, rows, shown, stamp
from tests.conformance.zones import changes

if TYPE_CHECKING:
    from datetime import datetime

    from core.trigger import Trigger

ROWS: Final = rows()
GROUPS: Final = sorted({(row.question.zone, row.question.dialect) for row in ROWS})
_TICK: Final = timedelta(microseconds=1)
_SHOWN: Final = 20


def difference(row: Row, trigger: Trigger | None = None) -> str | None:
    """Return how a trigger differs from *row*, in words; ``None`` where it does not."""
    question = row.question
    try:
        asked = trigger or trigger_for(question)
    except TriggerError as error:
        return f"{_headed(question)}\n  refused: {error}"
    found = first(asked, question.start, len(row.due) + row.is_all)
    if found != row.due:
        expected = shown(row.due, is_all=row.is_all)
        return f"{_headed(question)}\n  expected {expected}\n  got      {shown(found)}"
    return _miscounted(row, asked)


def _in_mode(question: Question, mode: str) -> Trigger:
    return trigger_of(question.arguments, question.zone, question.start, mode)


def _miscounted(row: Row, asked: Trigger) -> str | None:
    """Return where counting differs: at each occurrence, and just before it."""
    last: datetime | None = None
    for number, instant in enumerate(row.due):
        for until, expected in (
            (instant - _TICK, (last, number)),
            (instant, (instant, number + 1)),
        ):
            found = asked.last_until(until, row.question.start)
            if found != expected:
                return (
                    f"{_headed(row.question)}\n  until {until.isoformat()} expected the last and "
                    f"the count {expected}, got {found}"
                )
        last = instant
    return None


def _headed(question: Question) -> str:
    return (
        f"{question.dialect} {question.schedule!r} in {question.zone}, dst {question.dst}, "
        f"later than {stamp(question.start)}:"
    )


@pytest.mark.parametrize(("zone", "dialect"), GROUPS, ids=str)
def test_every_row_is_as_the_oracle_has_it(zone: str, dialect: str) -> None:
    """The first occurrences, the end where there is one, and every count up to them."""
    group = [row for row in ROWS if (row.question.zone, row.question.dialect) == (zone, dialect)]
    differences = list(filter(None, map(difference, group)))
    text = "\n".join(differences[:_SHOWN])
    assert not differences, f"{len(differences)} of {len(group)} rows differ:\n{text}"


def test_a_trigger_that_is_wrong_differs() -> None:
    """An hour later, a weekday off, the other rule for clock changes: each is noticed."""
    by_text = {str(row.question): row for row in ROWS}
    assert len(by_text) == len(ROWS)
    for row in ROWS[:: len(ROWS) // 200]:
        late = trigger_for(row.question)
        shifted = Row(row.question, tuple(at + timedelta(hours=1) for at in row.due), row.is_all)
        assert difference(row, late) is None
        assert difference(shifted, late) is not None
        assert difference(Row(row.question, row.due[:-1], is_all=True), late) is not None
    weekday = next(row for row in ROWS if row.question.schedule == "0 9 * * 1")
    sunday = trigger_of(
        {"day_of_week": 1, "hour": 9}, weekday.question.zone, weekday.question.start
    )
    assert "expected" in str(difference(weekday, sunday))


def test_a_wrong_rule_for_clock_changes_differs() -> None:
    """Rows of one mode, asked of a trigger in another, differ somewhere in each direction."""
    for mode in ("once", "both", "skip"):
        for other in {"once", "both", "skip"} - {mode}:
            asked = [row for row in ROWS if row.question.dst == mode]
            wrong = (difference(row, _in_mode(row.question, other)) for row in asked)
            assert any(wrong), f"no row of {mode} notices {other}"


def test_the_corpus_is_what_the_oracle_says_now() -> None:
    """The questions are those of the file, and the answers to one in eighty are found again."""
    asked, there = questions(), {row.question for row in ROWS}
    assert there <= set(asked), "run: python -m tests.conformance"
    unanswered = [question for question in asked if question not in there]
    assert [each for each in unanswered if answered(each).due] == []
    drawn = Random(7).sample(ROWS, len(ROWS) // 80)  # noqa: S311 - a sample, not a secret
    assert [row for row in drawn if answered(row.question) != row] == []


def test_the_corpus_is_wide() -> None:
    """Enough rows and zones, every feature, each mode, and each zone's clock changes."""
    asked = [row.question for row in ROWS]
    assert len(asked) >= 2_000
    assert CORPUS.stat().st_size < 1_500_000
    assert {question.zone for question in asked} >= set(ZONES)
    assert len(ZONES) >= 25
    assert {question.schedule for question in asked} >= set(features.CRON)
    assert {question.dst for question in asked} == {"once", "both", "skip"}
    for zone in ZONES:
        starts = [question.start for question in asked if question.zone == zone]
        near = [
            change
            for change in changes(zone)
            if any(abs(start - change.instant) <= timedelta(hours=26) for start in starts)
        ]
        kinds = {change.is_gap for change in changes(zone) if change.instant.year < 2026}
        assert {change.is_gap for change in near} == kinds, zone
