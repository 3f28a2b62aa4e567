"""A disk that is full, fails, is locked or damaged costs no outcome that a task had reached.

What was acknowledged is in the ledger afterwards, once; the container lives through it and says
what is wrong; a damaged file is refused or whole, and never made anew.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.clock import SystemClock
from core.errors import TaskrackError
from core.records import Lease
from manager.storage import Database, SqlLedger
from tests.engine_tools import HOUR, START, node, run_of, task, wish
from tests.reliability.checking import Report, Scale
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parents[2]
CLOCK: Final = SystemClock()
DAMAGES: Final = {Scale.SHORT: 80, Scale.LONG: 1_200}
LOCKS: Final = {Scale.SHORT: (1.0,), Scale.LONG: (1.0, 10.0, 60.0)}
FAULTS: Final = (
    *("pwrite64:error=ENOSPC", "pwrite64:error=EIO", "pwrite64:error=EROFS"),
    *("fdatasync:error=EIO", "fdatasync:error=ENOSPC"),
)
PLACES: Final = {"pwrite64": (25, 120), "fdatasync": (3, 12)}
"""Which call of the disk fails in the short form; in the long one each of the first 200."""
BACK: Final = 5.0
"""Seconds within which tasks run again once the disk serves."""
PROGRAM: Final = """
import json, os, sys, threading
from pathlib import Path
from core import TaskrackError
from manager import Manager, current_run

folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
journal = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
stop = folder / "stop"

def work():
    run = current_run()
    os.write(journal, f"S {run.run_id} {run.attempt}\\n".encode())
    threading.Event().wait(0.02)
    os.write(journal, f"E {run.run_id} {run.attempt}\\n".encode())

manager = Manager(folder / "config.json")
tasks = manager.task_manager
for name in ("a", "b", "c", "d"):
    tasks.add_task(work, "interval", name, seconds=0.2, catch_up="all", overlap="queue")
try:
    manager.start()
except TaskrackError as error:
    print(f"refused: {error}", file=sys.stderr)
    sys.exit(3)
waited = threading.Event()
for _ in range(int(seconds * 20)):
    if stop.exists():
        break
    health = tasks.health()
    print(json.dumps([health.state, health.database, health.spooled, health.trouble]), flush=True)
    waited.wait(0.05)
manager.shutdown(10)
"""


def check(scale: Scale, folder: Path) -> Report:
    """Fill, lock, fail and damage the disk under containers, each in a folder of its own."""
    figures: dict[str, float] = {}
    failures: list[str] = []
    parts: list[Callable[[], Report]] = [
        partial(injected, 0, scale, folder),
        partial(injected, 1, scale, folder),
        partial(full, folder),
        partial(locked, folder, scale),
        partial(damaged, folder, scale),
    ]
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda part: part(), parts):
            for name, figure in found.figures.items():
                total = round(figures.get(name, 0) + float(figure), 2)
                figures[name] = int(total) if total.is_integer() else total
            failures += found.failures
    return Report(figures, failures)


class Container:
    """A container in a process of its own, with its ledger in *data* and a journal beside it.

    Args:
        folder: Where its journal is.
        data: Where its ledger is.
        seconds: How long it runs unless it is stopped.
        tracer: What the process is started with.
    """

    def __init__(
        self, folder: Path, data: Path, seconds: float = 60, tracer: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.data = folder, data
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "database": {"url": f"sqlite:///{data}/ledger.db"},
            "loggers": {"enable_file": False},
            "manager": {"tasks_directory": str(folder)},
        }
        (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        program = folder / "program.py"
        program.write_text(PROGRAM, encoding="utf-8")
        self.out, self.err = folder / "out", folder / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*tracer, sys.executable, str(program), str(folder), str(seconds)],
                stdout=out,
                stderr=err,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )

    def journal(self) -> list[list[str]]:
        """Return what its tasks noted: S or E, the run, the attempt."""
        file = self.folder / "journal"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def healths(self) -> list[list[Any]]:
        """Return what it said of itself: state, database, spooled, trouble."""
        lines = self.out.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("]")]

    def goes_on(self, count: int = 5) -> float:
        """Wait for *count* more calls; return how many seconds that took."""
        before, begun = len(self.journal()), CLOCK.monotonic()
        eventually(lambda: len(self.journal()) >= before + 2 * count or self.ended(), 60)
        return CLOCK.monotonic() - begun

    def ended(self) -> bool:
        return self.process.poll() is not None

    def finish(self, *, asked: bool = True) -> list[str]:
        """Let it end; return what contradicts the promise.

        Args:
            asked: Whether it is asked to; else it ends by itself, or was refused at its start.
        """
        if asked:
            (self.folder / "stop").touch()
        try:
            code = self.process.wait(90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return [f"{self.folder.name}: it did not end"]
        fine = {0} if asked else {0, 3}
        found = (
            [] if code in fine else [f"{self.folder.name}: exit code {code}: {self._last_words()}"]
        )
        if "Traceback" in self.err.read_text(encoding="utf-8"):
            found.append(f"{self.folder.name}: a traceback: {self._last_words()}")
        return found + self._compared()

    def _last_words(self) -> str:
        return self.err.read_text(encoding="utf-8")[-600:]

    def _compared(self) -> list[str]:
        """Hold the ledger against the journal, after a start that brings in what was spooled."""
        ledger = SqlLedger(Database(f"sqlite:///{self.data}/ledger.db"))
        spools = list(self.data.glob("*.spool"))
        if spools:
            again = Container(self.folder / "again", self.data, 0.5)
            code = again.process.wait(60)
            if code or list(self.data.glob("*.spool")):
                return [f"{self.folder.name}: the spool was not brought in: {again._last_words()}"]
        ledger.open()
        states = {run.id: run.state.value for run in ledger.reading.runs(limit=100_000)}
        ledger.close()
        with closing(sqlite3.connect(self.data / "ledger.db")) as link:
            (whole,) = link.execute("PRAGMA integrity_check").fetchone()
        begun = Counter(run for word, run, _ in self.journal() if word == "S")
        ended = {run for word, run, _ in self.journal() if word == "E"}
        lost = [run for run in sorted(ended) if states.get(run) != "completed"]
        twice = [run for run, count in begun.items() if count > 1]
        found = [] if whole == "ok" else [f"{self.folder.name}: integrity: {whole}"]
        if lost:
            found.append(f"{self.folder.name}: {len(lost)} of {len(ended)} lost, {lost[0]}")
        return found + ([f"{self.folder.name}: ran twice: {twice}"] if twice else [])


def injected(half: int, scale: Scale, folder: Path) -> Report:
    """Let one call of the disk fail, at one place after the other; every other place of a half."""
    if shutil.which("strace") is None:
        return Report({"injected_faults": 0}, ["strace is not installed; it injects the faults"])
    failures: list[str] = []
    every = range(1, 201)
    cases = [
        (fault, place)
        for fault in FAULTS
        for place in (every if scale is Scale.LONG else PLACES[fault.partition(":")[0]])
    ][half::2]
    told = 0
    for number, (fault, place) in enumerate(cases):
        name = f"injected-{half}-{number}"
        data = folder / name / "data"
        data.mkdir(parents=True)
        call = fault.partition(":")[0]
        tracer = (
            *("strace", "-f", "-qq", "--seccomp-bpf", "-o", str(folder / name / "trace")),
            *("-P", str(data / "ledger.db-wal"), "-P", str(data / "ledger.db")),
            *("-e", f"trace={call}", "-e", f"inject={fault}:when={place}"),
        )
        container = Container(folder / name, data, 1.2, tracer)
        failures += container.finish(asked=False)
        told += (folder / name / "trace").read_text().count("INJECTED")
    return Report({"injected_faults": told}, failures)


def full(folder: Path) -> Report:
    """Fill the disk of the ledger under a container, then make room."""
    with small_disk(folder / "small") as (data, kind):
        container = Container(folder / "full", data)
        container.goes_on()
        with no_room(container, kind):
            seen = _awaited(container, "failing")
            filled = len(container.journal())
            begun = CLOCK.monotonic()
            eventually(lambda: CLOCK.monotonic() - begun > 1)
        seconds = container.goes_on()
        failures = container.finish()
        if not seen:
            failures.append("full: health never said that the database fails")
        if seconds > BACK:
            failures.append(f"full: tasks ran again after {seconds:.1f} s")
        noted: dict[str, float] = {f"full_disks_by_{kind}": 1, "seconds_until_back": seconds}
        noted["runs_on_full_disks"] = (len(container.journal()) - filled) // 2
        return Report(noted, failures)


def locked(folder: Path, scale: Scale) -> Report:
    """Lock the ledger for some seconds from another process."""
    failures: list[str] = []
    for seconds in LOCKS[scale]:
        data = folder / f"locked-{seconds:g}" / "data"
        data.mkdir(parents=True)
        container = Container(data.parent, data, seconds + 60)
        container.goes_on()
        with closing(sqlite3.connect(data / "ledger.db", isolation_level=None)) as holder:
            holder.execute("PRAGMA busy_timeout=5000")
            holder.execute("BEGIN EXCLUSIVE")
            begun = CLOCK.monotonic()
            eventually(lambda: CLOCK.monotonic() - begun > seconds, seconds + 5)  # noqa: B023
            holder.execute("ROLLBACK")
        back = container.goes_on()
        failures += container.finish()
        if back > BACK:
            failures.append(f"locked for {seconds:g} s: tasks ran again after {back:.1f} s")
    return Report({"locks": len(LOCKS[scale])}, failures)


def damaged(folder: Path, scale: Scale) -> Report:
    """Flip bits, cut and replace copies of a ledger; each is refused or whole, none made anew."""
    place = folder / "damaged"
    place.mkdir()
    base = place / "base.db"
    ledger = SqlLedger(Database(f"sqlite:///{base}"))
    ledger.open()
    ledger.join(node("here"), START, Lease(START + HOUR, 3_600.0))
    ledger.bind([(task(f"t{number}"), START + HOUR) for number in range(5)], "here", START)
    rows = [run_of(f"t{number % 5}") for number in range(100)]
    ledger.transact(lambda tx: [tx.insert(run) for run in rows])
    ledger.close()
    content, draw = base.read_bytes(), random.Random(8)  # noqa: S311 - which bits are flipped
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for number in range(DAMAGES[scale]):
        path = place / f"{number}.db"
        path.write_bytes(_harmed(content, number, draw))
        outcome = _opened(path)
        outcomes[outcome.partition(":")[0]] += 1
        if outcome.startswith("wrong"):
            failures.append(f"damaged copy {number}: {outcome}")
        for each in place.glob(f"{number}.db*"):
            each.unlink()
    return Report({f"damaged_{name}": count for name, count in outcomes.items()}, failures)


def _harmed(content: bytes, number: int, draw: random.Random) -> bytes:
    if number % 8 == 0:
        return draw.randbytes(draw.randrange(1, 20_000))
    if number % 4 == 0:
        return content[: draw.randrange(1, len(content))]
    harmed = bytearray(content)
    for _ in range(draw.choice((1, 1, 8))):
        harmed[draw.randrange(len(harmed))] ^= 1 << draw.randrange(8)
    return bytes(harmed)


def _opened(path: Path) -> str:
    """Open a damaged ledger and use it; return ``refused``, ``whole``, or ``wrong: WHY``."""
    before, inode = path.read_bytes(), path.stat().st_ino
    ledger = SqlLedger(Database(f"sqlite:///{path}"))
    try:
        ledger.open()
        ledger.reading.tasks()
        ledger.reading.runs(limit=1_000)
        ledger.transact(lambda tx: tx.claim(wish(100)))
        ledger.suspects(START)
    except TaskrackError:
        ledger.close()
        if path.stat().st_ino != inode or len(path.read_bytes()) < len(before):
            return "wrong: the file was made anew"
        return "refused"
    except Exception as error:  # noqa: BLE001 - any other error is what is looked for
        ledger.close()
        return f"wrong: {error!r}"
    ledger.close()
    with closing(sqlite3.connect(path)) as link:
        (whole,) = link.execute("PRAGMA integrity_check(1)").fetchone()
        (count,) = link.execute("SELECT count(*) FROM runs").fetchone()
    if whole != "ok" or count != 100:
        return f"wrong: it was used with {count} runs, integrity {whole}"
    return "whole"


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Give a folder on a disk of 4 MiB, and how it is limited: who may not mount limits files."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "taskrack-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        yield folder, "rlimit"
        return
    try:
        yield folder, "tmpfs"
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@contextmanager
def no_room(container: Container, kind: str) -> Iterator[None]:
    """Leave a container no byte more for its ledger."""
    if kind == "rlimit":
        size = (container.data / "ledger.db-wal").stat().st_size
        known = resource.prlimit(container.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(container.process.pid, resource.RLIMIT_FSIZE, (size, known[1]))
        yield
        resource.prlimit(container.process.pid, resource.RLIMIT_FSIZE, known)
        return
    fill = container.data / "fill"
    _fill(fill)
    yield
    fill.unlink()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4_096)
        except OSError:
            return


def _awaited(container: Container, database: str) -> bool:
    """Wait until a container says that its database is so; tell whether it did."""
    try:
        eventually(lambda: container.healths()[-1][1] == database or container.ended(), 20)
    except AssertionError:
        return False
    return not container.ended()
