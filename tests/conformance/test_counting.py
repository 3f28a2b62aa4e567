"""Counting is walking, for schedules put together at random, in every zone of the corpus."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given, reject, settings
from hypothesis import strategies as st

from core.errors import TriggerError
from tests.conformance import features
from tests.conformance.asking import trigger_of
from tests.conformance.questions import ZONES
from tests.conformance.zones import Change, changes
from tests.walking import walked

MODES: Final = ("once", "both", "skip")
SECOND: Final = timedelta(seconds=1)
_START: Final = datetime(1985, 1, 1, tzinfo=UTC)
_MOST: Final = 3_000


def _terms(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    step = st.integers(1, high - low)
    pair = st.tuples(number, number).map(sorted)
    one = st.one_of(
        st.just("*"),
        number.map(str),
        step.map(lambda size: f"*/{size}"),
        pair.map(lambda two: f"{two[0]}-{two[1]}"),
    )
    return st.lists(one, min_size=1, max_size=3).map(",".join)


_TEXTS: Final = st.builds(
    lambda *words: {"expression": " ".join(words)},
    _terms(0, 59),
    _terms(0, 23),
    st.sampled_from(["*", "*", "?", "*/2", "L", "15W", "1-20", "LW,13"]),
    st.sampled_from(["*", "*/2", "1,3-11"]),
    st.sampled_from(["*", "*", "?", "1-5", "sat-sun", "0#2", "5L", "*/2"]),
)
_FIELD_SETS: Final = st.fixed_dictionaries(
    {"minute": _terms(0, 59)},
    optional={
        "hour": _terms(0, 23),
        "day": st.sampled_from(["*", "1-20", "last", "2nd sun", "*/2"]),
        "day_of_week": st.sampled_from(["*", "0-4", "sat,sun", "6"]),
        "month": st.sampled_from(["*", "*/2", "3-11"]),
    },
)
_PICKED: Final = st.one_of(
    st.sampled_from(features.CRON).map(lambda text: {"expression": text}),
    st.sampled_from([json.dumps(each) for each in features.FIELDS]).map(json.loads),
)


@st.composite
def _starts(draw: st.DrawFn, zone: str) -> datetime:
    """Draw an instant, two times in three within a day of a change of *zone*."""
    known = changes(zone)
    near_change = draw(st.integers(0, 2)) > 0
    if known and near_change:
        change: Change = draw(st.sampled_from(known))
        return change.instant + draw(st.integers(-100_000, 10_000)) * SECOND
    return _START + draw(st.integers(0, 50 * 365 * 86_400)) * SECOND


@settings(max_examples=150, deadline=None)
@given(data=st.data(), zone=st.sampled_from(ZONES), mode=st.sampled_from(MODES))
def test_the_count_is_that_of_walking(data: st.DataObject, zone: str, mode: str) -> None:
    """The last occurrence, their number and their list, over stretches of a day or two."""
    arguments = data.draw(st.one_of(_TEXTS, _FIELD_SETS, _PICKED))
    start = data.draw(_starts(zone))
    try:
        trigger = trigger_of(arguments, zone, start, mode)
    except TriggerError:  # fields are joined by AND: drawn at random, they may exclude each other
        reject()
    length = data.draw(st.integers(1, 2 * 86_400)) * SECOND
    if trigger.last_until(start + length, start)[1] > _MOST:
        length = 1_800 * SECOND
    found = walked(trigger, start, start + length)
    expected = (found[-1] if found else None, len(found))
    assert trigger.last_until(start + length, start) == expected
    assert list(trigger.between(start, start + length)) == found
    middle = start + length / 2
    halves = [trigger.last_until(middle, start)[1], trigger.last_until(start + length, middle)[1]]
    assert sum(halves) == len(found)
