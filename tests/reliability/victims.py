"""A container in a process of its own that is told over a pipe what to run."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from core.clock import SystemClock
from manager.executors.children.kernel import marked, resident_bytes, send_signal
from manager.executors.children.supervision import MARK as SUPERVISOR
from tests.reliability import hostilities
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60.0
MARK: Final = "HOSTILE_CHECK"
SCRIPT: Final = """
import sys

from manager import Manager

manager = Manager("config.json")
manager.start()
tasks = manager.task_manager
answers = open("answers", "w", buffering=1)
answers.write("ready\\n")
for line in sys.stdin:
    verb, task = line.split()
    if verb == "resume":
        tasks.resume_task(task)
    else:
        answers.write(f"{tasks.run_task(task).id}\\n")
manager.shutdown(3)
"""
SETTINGS: Final = {
    "database": {"url": "sqlite:///./ledger.db", "synchronous": "normal"},
    "loggers": {"enable_file": False, "log_level": "ERROR"},
    "manager": {"max_tasks": 1_000, "scheduler_thread_pool": 30, "process_workers": 16},
}


class Victim:
    """The container that has the hostile tasks, and its ledger as a reader sees it.

    Args:
        folder: Its project.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = SystemClock()
        self._mark = uuid4().hex
        self._process: subprocess.Popen[str] | None = None
        self._plugin = folder / "backgroundtask" / "taskplugins.py"
        self._plugin.parent.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
        (folder / "container.py").write_text(SCRIPT, encoding="utf-8")

    @property
    def now(self) -> int:
        """The time, in microseconds since 1970."""
        return int(self._clock.now().timestamp() * 1_000_000)

    @property
    def process(self) -> subprocess.Popen[str]:
        """Its process."""
        assert self._process is not None
        return self._process

    @property
    def memory_mib(self) -> float:
        """The resident memory of the container's own process."""
        return resident_bytes(self.process.pid) / 2**20

    @property
    def survivors(self) -> list[int]:
        """Return the processes that are left of anything that it started."""
        return marked(f"{MARK}={self._mark}")

    def start(self) -> None:
        """Start the container, with the plugin as it was written."""
        source = Path(hostilities.__file__).read_text(encoding="utf-8")
        self._plugin.write_text(source, encoding="utf-8")
        self._answers.unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "container.py"],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
                env=os.environ | {MARK: self._mark, "PYTHONPATH": str(ROOT)},
            )
        eventually(lambda: self._answered() or self.process.poll() is not None, PATIENCE)
        assert self.process.poll() is None, self._said()

    def stop(self) -> None:
        """Let the container end in order.

        Raises:
            AssertionError: it does not.
        """
        process = self.process
        with suppress(BrokenPipeError):
            process.communicate(timeout=PATIENCE)
        assert process.poll() is not None, "the container did not end"

    def close(self) -> None:
        """End the container and whatever is left of it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        eventually(lambda: not self.survivors or not self.kill_strays([]), PATIENCE)

    def wait_for_end(self, *, by_force: bool) -> None:
        """Wait until a task has ended the container; one that it stopped is told to go."""
        if by_force:
            eventually(lambda: self.process.poll() is not None, PATIENCE)
            assert self.process.stdin is not None
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        else:
            eventually(
                lambda: not self._rows("SELECT 1 FROM nodes WHERE state = 'alive'"), PATIENCE
            )
            self.stop()

    def order(self, task: str) -> str:
        """Run a task by hand; return the id of the run."""
        return self._told("run", task)

    def resume(self, tasks: Sequence[str]) -> None:
        """Let quarantined tasks go on."""
        for task in tasks:
            self._tell("resume", task)

    def run_all(self, tasks: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Run tasks at once; return how each ended: its state with its reason, and its error."""
        runs = {task: self.order(task) for task in tasks}
        return {task: self.wait_for(run) for task, run in runs.items()}

    def wait_for(self, run: str) -> tuple[str, str | None]:
        """Wait until a run is over; return its state with its reason, and its error."""

        def over() -> list[tuple[str, str | None, str | None]]:
            query = "SELECT state, reason, error FROM runs WHERE id = ? AND finished_at IS NOT NULL"
            return self._rows(query, run)

        ((state, reason, error),) = eventually(over, PATIENCE)
        return f"{state} {reason}" if reason else state, error

    def lateness(self, since: int, lanes: Sequence[str]) -> list[float]:
        """Return by how many seconds the neighbours' runs began too late that were due since then.

        One that should have begun by now and has not counts from when it was due until now.
        """
        now = self.now
        query = (
            "SELECT scheduled_for, started_at FROM runs WHERE task_id LIKE 'healthy%'"
            " AND lane IN (SELECT value FROM json_each(?)) AND scheduled_for BETWEEN ? AND ?"
        )
        rows = self._rows(query, json.dumps(list(lanes)), since, now - 1_000_000)
        return [((now if began is None else began) - due) / 1_000_000 for due, began in rows]

    def go_on(self) -> None:
        """Wait until every neighbour that begins now has run again.

        Raises:
            AssertionError: one does not.
        """
        since = self.now
        query = (
            "SELECT COUNT(DISTINCT task_id) FROM runs WHERE task_id LIKE 'healthy%'"
            " AND state = 'completed' AND started_at > ?"
        )
        wanted = [(3 * hostilities.HEALTHY,)]
        eventually(lambda: self._rows(query, since) == wanted, PATIENCE)

    def kill_strays(self, failures: list[str]) -> int:
        """Kill what tasks have left; return how many of them, and name those of isolated runs."""
        strays = [pid for pid in self.survivors if _name(pid) == hostilities.SLEEPER[0]]
        isolated = [pid for pid in strays if pid in marked_by_supervisors(strays)]
        failures += [f"an isolated run left process {pid}" for pid in isolated]
        for pid in strays:
            send_signal(pid, signal.SIGKILL)
        return len(strays)

    @property
    def _answers(self) -> Path:
        return self._folder / "answers"

    def _answered(self) -> list[str]:
        if not self._answers.exists():
            return []
        return self._answers.read_text(encoding="utf-8").splitlines()

    def _tell(self, verb: str, task: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{verb} {task}\n")
        self.process.stdin.flush()

    def _told(self, verb: str, task: str) -> str:
        """Tell the container something, and return what it answers.

        Raises:
            AssertionError: it says nothing.
        """
        before = len(self._answered())
        self._tell(verb, task)
        return eventually(lambda: self._answered()[before:], PATIENCE)[0]

    def _said(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-2_000:]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._folder / "ledger.db", timeout=10)) as connection:
            return connection.execute(query, values).fetchall()


def marked_by_supervisors(pids: Sequence[int]) -> set[int]:
    """Return which processes an isolated run has started."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if any(each.startswith(f"{SUPERVISOR}=".encode()) for each in variables):
                found.add(pid)
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
