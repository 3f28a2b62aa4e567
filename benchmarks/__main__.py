"""Run every benchmark, print the table, and write ``docs/benchmarks.md`` and a JSON file."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from benchmarks import catch_up, forecast, isolated_run, list_tasks, simulated_year, startup
from benchmarks.harness import ROOT, TASKS, page, report, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--turns", type=int, default=9, help="how often each is measured")
    parser.add_argument("--tasks", type=int, default=TASKS, help="how many tasks are listed")
    parser.add_argument("--json", type=Path, help="where to write the figures for programs")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = startup.run(Path(folder) / "startup", asked.turns)
        figures += list_tasks.run(Path(folder) / "listing", asked.turns, asked.tasks)
        figures += isolated_run.run(Path(folder) / "isolated", asked.turns)
        figures += forecast.run(Path(folder) / "forecast", min(asked.turns, 5))
    figures += catch_up.run(asked.turns)
    figures += simulated_year.run(min(asked.turns, 3))
    found = report(figures)
    print(table(figures))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    asked.page.parent.mkdir(parents=True, exist_ok=True)
    asked.page.write_text(page(found, figures), encoding="utf-8")


if __name__ == "__main__":
    main()
