"""What thirteen engines were asked, asked here; ``docs/cron.md`` shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.errors import TriggerError
from manager.scheduling import checked_arguments
from tests.conformance.asking import trigger_of
from tests.conformance.matrix import ENGINES, MATRIX, MatrixRow, Probe
from tests.conformance.page import PAGE, page
from tests.walking import walked

_TICK = timedelta(microseconds=1)


def due(probe: Probe) -> list[str]:
    """Return the local times at which *probe* is due in its stretch."""
    zone = ZoneInfo(probe.zone)
    start, end = (
        datetime.fromisoformat(each).replace(tzinfo=zone).astimezone(UTC)
        for each in (probe.start, probe.end)
    )
    trigger = trigger_of({"expression": probe.schedule}, probe.zone, start)
    found = walked(trigger, start - _TICK, end - _TICK)
    assert trigger.last_until(end - _TICK, start - _TICK)[1] == len(found)
    form = "%Y-%m-%d %H:%M:%S" if probe.zone == "UTC" else "%Y-%m-%d %H:%M:%S %Z"
    return [at.astimezone(zone).strftime(form) for at in found]


@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row.name)
def test_the_matrix(row: MatrixRow) -> None:
    """Each row by its own id: due when it should be, or refused with the reason."""
    for probe in row.probes:
        if isinstance(probe, Probe):
            found = due(probe)
            expected = probe.due if isinstance(probe.due, int) else list(probe.due)
            assert (len(found) if isinstance(expected, int) else found) == expected
        else:
            with pytest.raises(TriggerError) as caught:
                checked_arguments("cron", {"expression": probe.schedule}, "UTC")
            assert probe.said in str(caught.value)


def test_the_committed_page_is_up_to_date() -> None:
    """The page is what ``python -m tests.conformance`` writes now, with a row for each row."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.conformance"
    assert len({row.name for row in MATRIX}) == len(MATRIX)
    assert all(0 <= row.passing <= len(ENGINES) == 13 for row in MATRIX)
