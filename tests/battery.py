"""The slower checks: ``python -m tests.battery [NAME...]`` runs them and writes their page.

Every check writes its report into ``docs/reliability.json``, from which the page is made; a
check that is not asked for keeps the report of its last run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from core.clock import SystemClock
from tests.reliability.checking import Report, Scale

DOCS: Final = Path(__file__).parents[1] / "docs"
CHECKS: Final[tuple[str, ...]] = (
    "forecasts",
    "kills",
    "crash_points",
    "postgres_faults",
    "schedulers",
    "hostile",
    "disk",
    "overlaps",
    "orders",
    "retrystorm",
    "recovery",
    "simulation",
    "soak",
)
"""Modules of ``tests.reliability`` with a ``check``, in the order of the page."""


INTRODUCTION: Final = """\
# Reliability

What is promised, and what the slower checks found when they last looked. `make battery` runs them
all and writes this page; `.venv/bin/python -m tests.battery NAME` runs one. A short form of each is
part of `make test`. Every figure comes from a run of the revision beside it.

## How it is looked at

The tasks write down themselves what happens to them: a line in an append-only file when a call
begins, and one when it returns or raises. What was written survives the death of the process. A
checker that shares no code with Taskrack counts the occurrences of the schedules itself, and
compares them with that journal and with the tables of the ledger. It complains of every occurrence
that nothing stands for, of every call that the ledger does not explain, of a second call of a run
that may start at most once, of a result that is not the last attempt's, and of anything left open.
Tests plant each of these faults and see it named.

A run that may start again does so after a crash. That is no fault as long as its attempts say so:
these are the runs called more than once in the figures.

Not shown here: a power cut, which may take what the disk had not written yet; clocks of several
machines that differ; and anything beyond the versions and the machine that the checks ran on.

## Overview
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.battery", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CHECKS))
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--short", action="store_true", help="as much as a test run does")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(CHECKS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(CHECKS)}")
    reports = stored(asked.docs)
    broken = 0
    for name in asked.names or CHECKS:
        report, entry = taken(name, Scale.SHORT if asked.short else Scale.LONG)
        reports[name] = entry
        broken += bool(report.failures)
        print(json.dumps({name: entry}))  # noqa: T201 - a program of its own
        write(asked.docs, reports)
    sys.exit(1 if broken else 0)


def taken(name: str, scale: Scale) -> tuple[Report, dict[str, Any]]:
    """Run a check; return its report, and the report as it is stored."""
    clock = SystemClock()
    begun = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"taskrack-{name}-") as folder:
        report = import_module(f"tests.reliability.{name}").check(scale, Path(folder))
    return report, {
        "scale": scale.value,
        "figures": dict(report.figures),
        "failures": report.failures,
        "seconds": round(clock.monotonic() - begun),
        "date": f"{clock.now():%Y-%m-%d}",
        "revision": _revision(),
        "python": sys.version.split()[0],
    }


def stored(docs: Path) -> dict[str, Any]:
    """Return the reports of the last runs, by check."""
    file = docs / "reliability.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def write(docs: Path, reports: dict[str, Any]) -> None:
    """Write the reports, and the page that is made of them."""
    ordered = {name: reports[name] for name in CHECKS if name in reports}
    text = json.dumps(ordered, indent=2) + "\n"
    (docs / "reliability.json").write_text(text, encoding="utf-8")
    (docs / "reliability.md").write_text(page(ordered), encoding="utf-8")


def page(reports: dict[str, Any]) -> str:
    """Return the page of *reports*."""
    lines = [INTRODUCTION, "| check | promise | broken | taken |", "|---|---|---|---|"]
    for name, entry in reports.items():
        form = "" if entry["scale"] == Scale.LONG else ", short form"
        took = f"{entry['date']}, `{entry['revision']}`, {entry['seconds']:,} s{form}"
        row = (f"[`{name}`](#{name})", promise(name), _verdict(entry), took)
        lines.append("| " + " | ".join(_cell(each) for each in row) + " |")
    for name, entry in reports.items():
        lines += ["", f"## {name}", "", *method(name), "| figure | found |", "|---|---|"]
        lines += [f"| {_cell(key)} | {_shown(each)} |" for key, each in entry["figures"].items()]
    return "\n".join([*lines, ""])


def method(name: str) -> list[str]:
    """Return how a check looks, line by line: what follows the promise in its docstring."""
    paragraphs = _docstring(name).split("\n\n")[1:]
    return [line for paragraph in paragraphs for line in (*paragraph.splitlines(), "")]


def promise(name: str) -> str:
    """Return the promise of a check: the first paragraph of its module's docstring."""
    return " ".join(_docstring(name).split("\n\n")[0].split())


def _docstring(name: str) -> str:
    text = import_module(f"tests.reliability.{name}").__doc__ or ""
    return text.strip().replace("``", "`")


def _verdict(entry: dict[str, Any]) -> str:
    return "; ".join(entry["failures"]) or "nothing"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _shown(figure: object) -> str:
    return f"{figure:,}" if isinstance(figure, int | float) else str(figure)


def _revision() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DOCS)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
