"""What the benchmarks share: timing beside a floor, a project of many tasks, the report."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
TASKS: Final = 10_000
PLUGIN: Final = '''"""Many tasks over one function."""


async def nothing():
    """Do nothing."""


SCHEDULES = (
    ("interval", lambda n: {{"hours": 24, "minutes": n % 60}}),
    ("cron", lambda n: {{"hour": n % 24, "minute": n % 60}}),
    ("date", lambda n: {{"run_date": f"2099-01-01 {{n % 24:02}}:{{n % 60:02}}:00"}}),
)
TASK_DEFINITIONS = [
    {{
        "id": f"task_{{n:05}}",
        "name": f"Task number {{n}}",
        "func": nothing,
        "trigger": SCHEDULES[n % 3][0],
        "trigger_args": SCHEDULES[n % 3][1](n),
        "enabled": True,
        "max_retries": 3,
        "timeout": 300,
        "tags": ["benchmark"],
    }}
    for n in range({count})
]
'''


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured time.

    Attributes:
        name: What was measured.
        median: Seconds.
        least: Seconds.
        runs: How often it was measured.
        goal: Seconds that it should stay below, where there is a goal.
        floor: Name of the figure that it is compared with, measured in the same turns.
        ratio: Its median over its floor's.
    """

    name: str
    median: float
    least: float
    runs: int
    goal: float | None = None
    floor: str | None = None
    ratio: float | None = None

    def named(self, name: str) -> Figure:
        """Return the same figure under another name."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure: its name, the call, and what it is held against."""

    name: str
    call: Callable[[], object]
    goal: float | None = None
    floor: str | None = None


def measure(subjects: Sequence[Subject], runs: int, *, warm: bool = True) -> list[Figure]:
    """Measure *subjects* in turn, *runs* times, so that a busy moment hits all alike.

    Each is called once before, unless *warm* is off.
    """
    times: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for subject in subjects if warm else ():
        subject.call()
    for _ in range(runs):
        for subject in subjects:
            times[subject.name].append(_timed(subject.call))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return [
        Figure(
            name=each.name,
            median=medians[each.name],
            least=min(times[each.name]),
            runs=runs,
            goal=each.goal,
            floor=each.floor,
            ratio=medians[each.name] / medians[each.floor] if each.floor else None,
        )
        for each in subjects
    ]


def process(*command: str, folder: Path = ROOT) -> Callable[[], object]:
    """Return a call that runs ``python COMMAND...`` in *folder* and waits for its end."""

    def call() -> int:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=_environment(),
            capture_output=True,
            check=True,
        )
        return len(done.stdout)

    return call


def make_project(folder: Path, count: int) -> Path:
    """Write a project with *count* tasks and return the path of its config.json."""
    place = folder / folder.name  # no two projects have a module of one name
    place.mkdir(parents=True)
    plugin = place / "taskplugins.py"
    plugin.write_text(PLUGIN.format(count=count), encoding="utf-8")
    config = folder / "config.json"
    settings = {
        "database": {"url": "sqlite:///./ledger.db"},
        "manager": {"tasks_directory": folder.name, "max_tasks": max(1, count)},
        "loggers": {"enable_file": False, "log_level": "WARNING"},
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    return config


def report(figures: Sequence[Figure]) -> dict[str, object]:
    """Return *figures* with when, on which revision and on which machine they were taken."""
    return {
        "date": SystemClock().now().isoformat(timespec="seconds"),
        "revision": _revision(),
        "machine": _machine(),
        "figures": [asdict(figure) for figure in figures],
    }


def table(figures: Sequence[Figure]) -> str:
    """Return *figures* as a table in Markdown; times in milliseconds."""
    head = ("what", "median", "least", "goal", "beside", "ratio")
    rows = [
        (
            figure.name,
            f"{figure.median * 1000:.1f} ms",
            f"{figure.least * 1000:.1f} ms",
            "" if figure.goal is None else f"{figure.goal * 1000:.0f} ms",
            figure.floor or "",
            "" if figure.ratio is None else f"{figure.ratio:.1f}",
        )
        for figure in figures
    ]
    cells = [head, tuple("---" for _ in head), *rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    lines = []
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(f"| {' | '.join(padded)} |")
    return "\n".join(lines)


def page(found: Mapping[str, object], figures: Sequence[Figure]) -> str:
    """Return the page of the documentation that holds the report."""
    machine = found["machine"]
    stated = machine.items() if isinstance(machine, dict) else []
    lines = [
        "# Benchmarks",
        "",
        "This page is written by `python -m benchmarks`; do not edit it by hand.",
        "",
        f"Taken on {found['date']} at revision `{found['revision']}`.",
        "",
        *(f"- {name}: {value}" for name, value in stated),
        "",
        "Times are medians of several turns; what is compared was measured in the same turns.",
        "A ratio is the time over that of what stands beside it.",
        "",
        table(figures),
        "",
    ]
    return "\n".join(lines)


def _timed(call: Callable[[], object]) -> float:
    clock = SystemClock()
    gc.collect()
    before = clock.monotonic()
    call()
    return clock.monotonic() - before


def _environment() -> dict[str, str]:
    ours = ("TASKRACK_", "BACKGROUND_", "LOG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PYTHONPATH": str(ROOT)}


def _revision() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _machine() -> dict[str, str]:
    names = ("taskrack", "sqlalchemy", "pydantic", "apscheduler", "typer")
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "load when it ended": f"{os.getloadavg()[0]:.1f}",
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }


def _processor() -> str:
    stated = Path("/proc/cpuinfo")
    lines = stated.read_text(encoding="utf-8").splitlines() if stated.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
