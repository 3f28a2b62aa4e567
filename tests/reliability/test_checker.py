"""The checker complains of each way in which a promise can be broken."""

from __future__ import annotations

import ast
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.reliability import journal
from tests.reliability.checker import Checker, Expected
from tests.reliability.journal import Entry, Event, Journal
from tests.reliability.rows import AttemptRow, Rows, RunRow, SqliteStore, TaskRow, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

HERE: Final = Path(__file__).parent
ORACLE: Final = ("journal.py", "rows.py", "checker.py")
SECOND: Final = 1_000_000
ANCHOR: Final = 1_000 * SECOND
TASKS: Final = {
    "twice": Expected(every=SECOND),
    "once": Expected(every=SECOND, at_most_once=True),
}


class Scene:
    """A journal and a ledger that agree: each task was due three times, and each run completed."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.runs: list[RunRow] = []
        self.attempts: list[AttemptRow] = []
        self.tasks = [TaskRow(name, ANCHOR, ANCHOR + 3 * SECOND) for name in TASKS]
        self.damaged: list[str] = []
        self.integrity = "ok"
        self.until: int | None = ANCHOR + 3 * SECOND
        self.patience: int | None = SECOND
        for name in TASKS:
            for number in (1, 2, 3):
                self.completed(f"{name}-{number}", name, ANCHOR + number * SECOND)

    def completed(self, run: str, task: str, due: int) -> None:
        """Add a run that completed at its first attempt."""
        self.runs.append(RunRow(run, task, due, "completed", None, 1, 0, 1, 1, "[1,1]"))
        self.wrote(Event.STARTED, run, task, due)
        self.wrote(Event.RETURNED, run, task, due)

    def wrote(self, event: Event, run: str, task: str, due: int, attempt: int = 1) -> None:
        """Add a line to the journal, a millisecond after the run was due."""
        self.entries.append(Entry(event, run, task, due, attempt, attempt, 7, due + 1000, 0))

    def crashed(self, run: str, task: str, due: int, *, told: str = "crash") -> None:
        """Make a run one that was cut off once and completed then."""
        self.change(run, attempt=2, token=2, crashes=1, result="[2,2]")
        self.attempts += [AttemptRow(run, 1, 1, told), AttemptRow(run, 2, 2, "completed")]
        self.entries = [
            each for each in self.entries if (each.run, each.event) != (run, Event.RETURNED)
        ]
        self.wrote(Event.STARTED, run, task, due, 2)
        self.wrote(Event.RETURNED, run, task, due, 2)

    def change(self, run: str, **values: Any) -> None:  # noqa: ANN401 - columns
        """Change the row of a run."""
        self.runs = [replace(each, **values) if each.id == run else each for each in self.runs]

    def unwrite(self, run: str, event: Event) -> None:
        """Take lines out of the journal."""
        self.entries = [each for each in self.entries if (each.run, each.event) != (run, event)]

    def kinds(self) -> set[str]:
        """Return what the checker complains of."""
        rows = Rows(self.runs, self.attempts, self.tasks, self.integrity)
        known = (self.entries, self.damaged, rows, TASKS, self.until, self.patience)
        return set(Checker(*known).check().kinds)


DUE: Final = ANCHOR + 2 * SECOND


def _no_row(scene: Scene) -> None:
    scene.runs = [run for run in scene.runs if run.id != "twice-2"]


def _neither(scene: Scene) -> None:
    _no_row(scene)
    scene.entries = [each for each in scene.entries if each.run != "twice-2"]


def _another_run(scene: Scene) -> None:
    scene.completed("twice-2b", "twice", DUE)


def _between(scene: Scene) -> None:
    scene.completed("twice-2b", "twice", DUE + 1)


def _counted_twice(scene: Scene) -> None:
    row = RunRow("dropped", "twice", DUE, "missed", "quarantined", 0, 0, 0, 2, None)
    scene.runs.append(row)


def _again_at_most_once(scene: Scene) -> None:
    scene.crashed("once-2", "once", DUE)


def _unexplained(scene: Scene) -> None:
    scene.crashed("twice-2", "twice", DUE, told="completed")


def _denied(scene: Scene) -> None:
    scene.crashed("twice-2", "twice", DUE, told="uncalled")


def _same_attempt(scene: Scene) -> None:
    scene.wrote(Event.STARTED, "twice-2", "twice", DUE)


def _attempt_nobody_claimed(scene: Scene) -> None:
    scene.wrote(Event.STARTED, "twice-2", "twice", DUE, 2)


def _stale(scene: Scene) -> None:
    scene.crashed("twice-2", "twice", DUE)
    scene.change("twice-2", result="[1,1]")


def _forgotten_attempt(scene: Scene) -> None:
    scene.crashed("twice-2", "twice", DUE)
    scene.attempts = scene.attempts[1:]


def _falling_token(scene: Scene) -> None:
    scene.crashed("twice-2", "twice", DUE)
    scene.attempts[1] = AttemptRow("twice-2", 2, 3, "completed")


def _early(scene: Scene) -> None:
    scene.entries = [replace(each, wall=each.wall - 1001) for each in scene.entries]


def _late(scene: Scene) -> None:
    scene.entries = [replace(each, wall=each.wall + SECOND) for each in scene.entries]


def _skipped(scene: Scene) -> None:
    _neither(scene)
    row = RunRow("twice-2", "twice", DUE, "skipped", "overlap", 0, 0, 0, 1, None)
    scene.runs.append(row)


def _skipped_but_called(scene: Scene) -> None:
    _skipped(scene)
    scene.wrote(Event.STARTED, "twice-2", "twice", DUE)


def _set_damaged(scene: Scene) -> None:
    scene.damaged = ["S half a li"]


def _set_integrity(scene: Scene) -> None:
    scene.integrity = "row 7 missing from index"


def _behind(scene: Scene) -> None:
    scene.tasks[0] = replace(scene.tasks[0], cursor=DUE)


def _unknown_task(scene: Scene) -> None:
    scene.tasks = scene.tasks[1:]


def _other_occurrence(scene: Scene) -> None:
    scene.entries = [
        replace(each, due=DUE - SECOND) if each.run == "twice-2" else each for each in scene.entries
    ]


def _row(**values: Any) -> Callable[[Scene], None]:  # noqa: ANN401 - columns
    return lambda scene: scene.change("twice-2", **values)


UNTOLD: Final = {"attempts", "unflagged duplicate"}
BROKEN: Final[dict[str, tuple[Callable[[Scene], None], set[str]]]] = {
    "a row is gone": (_no_row, {"gap", "journal without row"}),
    "an occurrence is gone": (_neither, {"gap"}),
    "a task is gone": (_unknown_task, {"gap"}),
    "a task stands still": (_behind, {"undecided"}),
    "an occurrence got two runs": (_another_run, {"decided twice", "double firing"}),
    "a run for no occurrence": (_between, {"no occurrence"}),
    "an occurrence ran, and counts as missed": (_counted_twice, {"decided twice"}),
    "at most once ran twice": (_again_at_most_once, {"duplicate of at most once"}),
    "a second call that nothing explains": (_unexplained, {"unflagged duplicate"}),
    "a call that the ledger denies": (_denied, {"told as uncalled"}),
    "one attempt was called twice": (_same_attempt, {"unflagged duplicate"}),
    "an attempt without a claim": (_attempt_nobody_claimed, {"journal without row"}),
    "a stale result was taken": (_stale, {"stale write"}),
    "an attempt is not told of": (_forgotten_attempt, UNTOLD),
    "a token fell": (_falling_token, {"tokens"}),
    "started before its time": (_early, {"early"}),
    "started after its time": (_late, {"late"}),
    "dropped for no reason": (_skipped, {"dropped"}),
    "dropped, and called": (
        _skipped_but_called, {"dropped", "dropped but started", "journal without row"},
    ),
    "a torn line": (_set_damaged, {"damaged journal"}),
    "a torn file": (_set_integrity, {"integrity"}),
    "called for another occurrence": (
        _other_occurrence, {"another occurrence", "double firing", "late"},
    ),
    "left running": (_row(state="running"), {"left running"}),
    "left waiting": (_row(state="pending", attempt=2), {"unfinished", *UNTOLD}),
    "left before its next attempt": (_row(state="retrying"), {"unfinished"}),
    "lost although it may run again": (_row(state="lost", reason="crash"), {"lost"}),
    "given up too early": (_row(state="failed", reason="crash", crashes=2), {"lost"}),
    "failed, but nobody saw it fail": (
        _row(state="failed", reason="exception"), {"row without journal"},
    ),
    "completed, but never returned": (
        lambda scene: scene.unwrite("twice-2", Event.RETURNED), {"row without journal"},
    ),
    "completed, but never called": (
        lambda scene: scene.unwrite("twice-2", Event.STARTED), {"row without journal"},
    ),
}  # fmt: skip


def test_a_journal_and_a_ledger_that_agree_pass() -> None:
    """What is in order gives no complaint, or the others would mean nothing."""
    assert Scene().kinds() == set()


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_promise_is_complained_of(name: str) -> None:
    """Each fault is called by its name, and no sound part of the scene is blamed."""
    plant, kinds = BROKEN[name]
    scene = Scene()
    plant(scene)
    assert scene.kinds() == kinds


def test_a_second_call_that_the_attempts_explain_is_allowed() -> None:
    """At least once may run twice after a crash, if the attempts say so."""
    scene = Scene()
    scene.crashed("twice-2", "twice", DUE)
    assert scene.kinds() == set()


@pytest.mark.parametrize(("others", "kinds"), [(1, {"lost"}), (2, set())])
def test_a_run_that_a_quarantine_ended_needs_three_crashes_of_its_task(
    others: int, kinds: set[str]
) -> None:
    """Those of its other runs count too; with fewer than three it was given up too early."""
    scene = Scene()
    scene.change("twice-3", state="failed", reason="crash", crashes=1, result=None)
    scene.unwrite("twice-3", Event.RETURNED)
    scene.attempts.append(AttemptRow("twice-3", 1, 1, "crash"))
    for number in range(1, others + 1):
        scene.crashed(f"twice-{number}", "twice", ANCHOR + number * SECOND)
    assert scene.kinds() == kinds


def test_missed_occurrences_that_are_counted_are_no_gap() -> None:
    """One row may stand for several occurrences in a row, if the task allows it."""
    scene = Scene()
    scene.runs = [run for run in scene.runs if run.id not in {"twice-1", "twice-2"}]
    scene.entries = [each for each in scene.entries if each.run not in {"twice-1", "twice-2"}]
    scene.runs.append(RunRow("gone", "twice", DUE, "missed", "late", 0, 0, 0, 2, None))
    assert scene.kinds() == {"dropped"}


def test_the_checker_shares_no_code_with_the_product() -> None:
    """A fault that both had would be seen by neither."""
    imported: set[str] = set()
    for name in ORACLE:
        for node in ast.walk(ast.parse((HERE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                imported.add(ast.unparse(node.args[0]).strip("'"))
    known = {f"tests.reliability.{Path(name).stem}" for name in ORACLE}
    foreign = {"sqlite3", "psycopg", "collections", "collections.abc", "contextlib", "dataclasses"}
    foreign |= {"datetime", "enum", "importlib", "json", "os", "pathlib", "time", "typing"}
    assert imported <= known | foreign | {"__future__"}


class _Attempt:
    """What a task knows of its attempt."""

    run_id, task_id, attempt, token = "run", "task", 2, 3
    scheduled_for = journal.EPOCH


def test_the_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every event comes back with its run, in order."""
    file = tmp_path / "journal.txt"
    written = Journal(file)
    with written.attempt(_Attempt()):
        pass
    with pytest.raises(ValueError, match="it fails"), written.attempt(_Attempt()):
        raise ValueError("it fails")
    entries, damaged = journal.read(file)
    assert [each.event for each in entries] == [
        Event.STARTED, Event.RETURNED, Event.STARTED, Event.RAISED,
    ]  # fmt: skip
    assert {(each.run, each.task, each.due, each.attempt, each.token) for each in entries} == {
        ("run", "task", 0, 2, 3)
    }
    assert damaged == []


def test_a_torn_line_of_the_journal_is_seen(tmp_path: Path) -> None:
    """Half a line, and words that are no numbers, are told and not skipped."""
    file = tmp_path / "journal.txt"
    file.write_text("S run task 0 1\nS run task 0 1 1 7 x 0\nS run ta", encoding="utf-8")
    entries, damaged = journal.read(file)
    assert (entries, len(damaged)) == ([], 4)


def test_a_broken_database_is_told_of(tmp_path: Path) -> None:
    """What SQLite says of a damaged index reaches the checker."""
    store = SqliteStore(tmp_path / "broken.db")
    assert rows_of(store).integrity == "there is no database"
    with closing(sqlite3.connect(store.file)) as link:
        link.execute("CREATE TABLE t (a)")
        link.execute("CREATE INDEX i ON t (a)")
        link.executemany("INSERT INTO t VALUES (?)", [(each,) for each in range(100)])
        link.commit()
        assert store.integrity() == "ok"
        link.execute("PRAGMA writable_schema=ON")
        link.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (a) WHERE a > 50' WHERE name = 'i'"
        )
        link.commit()
    assert store.integrity() != "ok"
