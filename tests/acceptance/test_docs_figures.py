"""The figures that the pages name, and the rules around them, are the code's."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from configurations import ManagerConfig
from core.crashing import CRASH_LIMIT
from core.policy import (
    CATCH_UP_LIMIT,
    CATCH_UP_WINDOW,
    PUNCTUAL,
    Backoff,
    CatchUp,
    RetryPolicy,
)
from core.trigger import decide
from manager.engine import EngineSettings
from manager.engine.results import ERROR_LIMIT, RESULT_LIMIT, TRACEBACK_LIMIT
from manager.engine.stopping import _UNWIND
from manager.executors.loop import SIZE
from manager.executors.threads import LEAK_LIMIT
from manager.scheduling.simple import LONGEST, SHORTEST, IntervalTrigger
from manager.task.taskmanager import _AT_EXIT
from tests.pages import DOCS

SETTINGS: Final = EngineSettings()
NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOURLY: Final = IntervalTrigger(timedelta(hours=1), NOW - timedelta(days=30))
WORDS: Final = {3: "three", 4: "four", 100: "hundred"}


def seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}"


@pytest.mark.item("X62")
@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("tasks.md", f"It has {seconds(SETTINGS.unwind)} seconds for them."),
        ("tasks.md", f"While {WORDS[LEAK_LIMIT]} calls are leaked, the pool starts no more."),
        ("tasks.md", f"within {seconds(PUNCTUAL)} seconds is on time"),
        ("tasks.md", f"within {CATCH_UP_WINDOW // timedelta(hours=1)} hours:"),
        ("tasks.md", f"at most the last {WORDS[CATCH_UP_LIMIT]}"),
        ("tasks.md", f"after {WORDS[CRASH_LIMIT]} deaths of its process"),
        ("tasks.md", f"make {seconds(SHORTEST)} seconds to {LONGEST.days // 365} years"),
        ("ledger.md", f"renews a lease in `nodes` every {seconds(SETTINGS.heartbeat)} seconds"),
        ("ledger.md", f"the lease is good for {seconds(SETTINGS.lease)}."),
        (
            "ledger.md",
            f"starts nothing from {seconds(SETTINGS.trust)} seconds after it last asked",
        ),
        ("ledger.md", f"and have {seconds(_UNWIND)} more seconds for their `finally` blocks"),
        ("ledger.md", f"does the same with {seconds(_AT_EXIT)} seconds of grace"),
        ("ledger.md", f"`manager.run_retention_days` ({ManagerConfig().run_retention_days}) ago"),
        ("ledger.md", f"A stored result has at most {RESULT_LIMIT // 1024} KiB"),
        ("troubleshooting.md", f"an error {ERROR_LIMIT // 1024} KiB, a traceback"),
        ("troubleshooting.md", f"a traceback {TRACEBACK_LIMIT // 1024} KiB."),
        ("troubleshooting.md", f"{WORDS[LEAK_LIMIT]} more for calls that outlived"),
        ("troubleshooting.md", f"and {SIZE:,} coroutines at once"),
    ],
)
def test_a_figure_of_a_page_is_the_one_in_force(page: str, sentence: str) -> None:
    text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
    assert sentence in text


@pytest.mark.item("X11")
@pytest.mark.parametrize(
    ("policy", "bounds"),
    [
        (RetryPolicy(), [1, 2, 4, 8, 16, 32, 60, 60]),
        (RetryPolicy(Backoff.LINEAR, timedelta(seconds=5)), [5, 10, 15]),
        (RetryPolicy(Backoff.FIXED, timedelta(seconds=5)), [5, 5, 5]),
        (RetryPolicy(Backoff.FIXED, timedelta(seconds=300)), [60, 60]),
        (RetryPolicy(Backoff.LISTED, delays=(timedelta(seconds=2), timedelta(seconds=90))),
         [2, 60, 60]),
    ],
)  # fmt: skip
def test_the_pauses_before_retries_are_those_of_the_page(
    policy: RetryPolicy, bounds: list[int]
) -> None:
    """Bounded by ``max_delay`` in every case, and drawn between zero and the bound."""
    draw = random.Random(7)  # noqa: S311 - a draw that repeats, no secret
    for retry, bound in enumerate(bounds, start=1):
        assert policy.delay_before(retry + 1) == timedelta(seconds=bound)
        drawn = policy.pause_before(retry + 1, draw)
        assert timedelta(0) <= drawn <= timedelta(seconds=bound)


@pytest.mark.item("X61")
@pytest.mark.parametrize(
    ("catch_up", "hours_down", "grace", "made_up", "dropped"),
    [
        (CatchUp.LATEST, 10, None, 1, 9),
        (CatchUp.NONE, 10, None, 0, 10),
        (CatchUp.ALL, 10, None, 10, 0),
        (CatchUp.ALL, 48, None, 24, 24),
        (CatchUp.LATEST, 10, timedelta(minutes=20), 0, 10),
        (CatchUp.ALL, 10, timedelta(hours=3), 3, 7),
        (CatchUp.NONE, 10, timedelta(hours=1), 1, 9),
    ],
)
def test_what_is_made_up_is_what_the_page_says(
    catch_up: CatchUp, hours_down: int, grace: timedelta | None, made_up: int, dropped: int
) -> None:
    """An hourly task, looked at half an hour after its last occurrence."""
    now = NOW + timedelta(minutes=30)

    decision = decide(HOURLY, now - timedelta(hours=hours_down), now, catch_up, grace)

    assert (len(decision.fire), decision.missed) == (made_up, dropped)
