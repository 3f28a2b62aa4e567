"""The text of a spool: whole records are found whatever happens to the bytes around them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.records import Ending, Node
from core.run import Attempt, Reason, RunState
from manager.storage.outcomes import (
    CLOSED,
    Release,
    ending_record,
    node_record,
    outcome_of,
    release_record,
)
from manager.storage.spool import RESERVE, _line, parse
from tests.engine_tools import START, node, run_of

RECORDS: list[dict[str, Any]] = [
    node_record(node("here")),
    {"kind": "end", "text": "line\nbreak \x00 caf\udce9 \U0001f600"},
    {"kind": "end", "number": 2},
    {"kind": "end", "number": 3},
]
LINES = [_line(record) for record in RECORDS]
WHOLE = b"".join(LINES)


def test_what_was_written_is_read_whatever_room_follows() -> None:
    """Reserved room is zero bytes, and no damage."""
    for content in (WHOLE, WHOLE + b"\x00" * 1_000, WHOLE[:-1]):
        found = parse(content)
        assert (found.records, found.damaged) == (RECORDS, 0)
    assert (parse(b"").records, parse(b"\x00" * RESERVE).damaged) == ([], 0)


def test_a_spool_that_is_cut_at_any_byte_keeps_every_record_before_the_cut() -> None:
    """The half of a record at the end is one damage, and never half an outcome."""
    ends = [len(b"".join(LINES[:count])) for count in range(len(LINES) + 1)]
    for cut in range(len(WHOLE)):
        found = parse(WHOLE[:cut] + b"\x00" * 64)
        whole = sum(end - 1 <= cut for end in ends[1:])  # its line break may be missing
        assert found.records == RECORDS[:whole], cut
        clean = cut in ends or cut + 1 in ends
        assert found.damaged == (0 if clean else 1), cut


def test_a_flipped_bit_anywhere_costs_the_record_that_it_hits_and_no_other() -> None:
    """Every bit of four records, one after the other."""
    for place in range(len(WHOLE)):
        for bit in range(8):
            content = bytearray(WHOLE)
            content[place] ^= 1 << bit
            found = parse(bytes(content) + b"\x00" * 64)
            lost = [record for record in RECORDS if record not in found.records]
            assert len(lost) <= 1, (place, bit)
            assert all(record in RECORDS for record in found.records), (place, bit)
            assert not lost or found.damaged >= 1, (place, bit)


def test_rubbish_is_no_record() -> None:
    """Random bytes and records of another kind of JSON give nothing, and never raise."""
    draw = random.Random(4)  # noqa: S311 - bytes to be read
    for length in range(200):
        assert parse(draw.randbytes(length)).records == []
    assert parse(_line([1, 2])).records == []  # type: ignore[arg-type]


def an_ending(**more: Any) -> Ending:  # noqa: ANN401 - columns
    run = replace(
        run_of("a", attempt=2, token=3, node="here", started_at=START),
        state=RunState.FAILED,
        reason=Reason.EXCEPTION,
        error="ValueError: caf\\udce9",
        finished_at=START + timedelta(seconds=1),
        **more,
    )
    return Ending(run=run, token=3, attempt=Attempt.of(run, START + timedelta(seconds=1)))


def test_an_outcome_comes_back_as_it_went() -> None:
    """All that is written of a run, its attempt and its token; arguments stay in the ledger."""
    ending = an_ending(result={"rows": [1, None]})
    release = Release(replace(ending.run, state=RunState.PENDING), START)
    owner = node("here", timed=False)
    texts = [node_record(owner), ending_record(ending), release_record(release), dict(CLOSED)]

    found = [outcome_of(record) for record in parse(b"".join(map(_line, texts))).records]

    assert found == [owner, ending, release, None]
    assert isinstance(found[0], Node)
    secret = ending_record(Ending(run=replace(ending.run, args=["s"]), token=3, attempt=None))
    assert "args" not in secret["run"]


@pytest.mark.parametrize(
    "change",
    [
        {"run": {}},
        {"run": None},
        {"token": "many"},
        {"attempt": {"odd": 1}},
        {"run": ending_record(an_ending())["run"] | {"state": "skipped"}},
        {"run": ending_record(an_ending())["run"] | {"state": "gone"}},
        {"run": ending_record(an_ending())["run"] | {"created_at": "yesterday"}},
        {"run": ending_record(an_ending())["run"] | {"shell": "rm"}},
    ],
)
def test_a_record_that_is_no_outcome_is_refused(change: dict[str, Any]) -> None:
    """What nobody of us wrote is data to be judged: one error, and nothing of it is used."""
    with pytest.raises(ValueError, match=r"no outcome|valid|format"):
        outcome_of(ending_record(an_ending()) | change)
