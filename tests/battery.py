"""The slower checks: ``python -m tests.battery`` runs them and writes ``docs/battery.md``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from tests.schedules import foretold_and_played

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE: Final = Path(__file__).parents[1] / "docs" / "battery.md"
START: Final = datetime(2025, 7, 1, tzinfo=UTC)
SEEDS: Final = range(10)


@dataclass(frozen=True, slots=True)
class Check:
    """One slow check: what it shows, and the call that tells how much it looked at."""

    promise: str
    call: Callable[[], str]


def forecasts() -> str:
    """Compare forecasts of two years with what the engine then does, a hundred schedules a time."""
    runs = 0
    for seed in SEEDS:
        foretold, played = foretold_and_played(100, seed, START, days=730)
        if foretold != played:
            wrong = sorted(set(foretold) ^ set(played))
            raise AssertionError(f"seed {seed}: {len(wrong)} differ, the first: {wrong[:3]}")
        runs += len(played)
    return f"{100 * len(SEEDS):,} random schedules, {runs:,} runs, 0 differences"


CHECKS: Final = (
    Check(
        "`forecast` is what the engine then does, over two simulated years, for 1,000 schedules",
        forecasts,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.battery", description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    clock, rows = SystemClock(), []
    for check in CHECKS:
        begun = clock.monotonic()
        found = check.call()
        rows.append(f"| {check.promise} | {found} | {clock.monotonic() - begun:.0f} s |")
        print(rows[-1])  # noqa: T201 - a program of its own
    asked.page.write_text(_page(rows, clock.now()), encoding="utf-8")


def _page(rows: list[str], now: datetime) -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PAGE.parent)
    revision, python = done.stdout.strip() or "unknown", sys.version.split()[0]
    lines = [
        "# Battery",
        "",
        "What takes too long for a test run: `make battery` runs it and writes this page.",
        "",
        f"Taken on {now:%Y-%m-%d} at revision `{revision}`, Python {python}.",
        "",
        "| promise | looked at | time |",
        "|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
