"""``forecast`` is what the engine then does, over two simulated years of random schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tests.reliability.checking import Report, Scale
from tests.schedules import foretold_and_played

if TYPE_CHECKING:
    from pathlib import Path

START: Final = datetime(2025, 7, 1, tzinfo=UTC)
SEEDS: Final = {Scale.SHORT: 1, Scale.LONG: 10}
SCHEDULES: Final = 100


def check(scale: Scale, folder: Path) -> Report:
    """Compare forecasts with what the engine then does, a hundred schedules a seed."""
    _ = folder
    runs, failures = 0, []
    for seed in range(SEEDS[scale]):
        foretold, played = foretold_and_played(SCHEDULES, seed, START, days=730)
        wrong = sorted(set(foretold) ^ set(played))
        if wrong:
            failures.append(f"seed {seed}: {len(wrong)} runs differ, the first: {wrong[:3]}")
        runs += len(played)
    return Report({"schedules": SCHEDULES * SEEDS[scale], "runs": runs}, failures)
