"""From what was written to a definition."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from manager.task.drafting import Drafter


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
    data = {
        "id": "sync",
        "func": print,
        "trigger": "interval",
        "trigger_args": {"hours": 1},
        "retry": retry,
    }
    definition, _ = Drafter().draft(data, plugin="p", source="p.py")
    assert definition.retry.delay_before(20) == timedelta(seconds=longest)
