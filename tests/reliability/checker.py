"""Compares what tasks wrote down with what the ledger says, and both with the schedules.

Knows the documented tables and the journal, and no code of the product: occurrences are counted
here from the start and the spacing that the maker of the tasks gave.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.reliability.journal import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.reliability.journal import Entry
    from tests.reliability.rows import AttemptRow, Rows, RunRow

OPEN: Final = frozenset({"pending", "running", "retrying"})
DROPPED: Final = frozenset({"skipped", "missed"})
FAILURES: Final = frozenset({"exception", "timeout"})
UNCALLED: Final = "uncalled"
TAKEN_AWAY: Final = frozenset({"crash", "interrupted", UNCALLED})
CRASH_LIMIT: Final = 3
"""So many deaths of its process, and a run may be given up; of its task, and one of its runs is."""

Complaint = tuple[str, str]
"""The kind, and the sentence."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A task as its maker meant it.

    Attributes:
        start: Its first occurrence, in microseconds since 1970; ``None`` if nothing is timed, or
            if it is one spacing after the first registration that the ledger tells.
        every: Microseconds between two occurrences; ``None`` if nothing is timed.
        at_most_once: Whether no run may be started a second time after a crash.
        may_drop: Whether occurrences may end as skipped or missed.
    """

    start: int | None = None
    every: int | None = None
    at_most_once: bool = False
    may_drop: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checker saw.

    Attributes:
        complaints: What contradicts the promise, as kind and sentence.
        counts: What was looked at.
        delays: By how many microseconds the first attempts started late, ascending.
    """

    complaints: list[Complaint]
    counts: dict[str, int]
    delays: list[int]

    @property
    def kinds(self) -> Counter[str]:
        """How many complaints there are of each kind."""
        return Counter(kind for kind, _ in self.complaints)

    def failures(self, most: int = 3) -> list[str]:
        """Return one sentence for each kind of complaint, with up to *most* examples."""
        examples: dict[str, list[str]] = defaultdict(list)
        for kind, text in self.complaints:
            examples[kind].append(text)
        return [
            f"{len(all_)} x {kind}: {'; '.join(all_[:most])}" for kind, all_ in examples.items()
        ]


@dataclass(slots=True)
class Checker:
    """One comparison.

    Args:
        entries: The journal.
        damaged: Lines of the journal that are none.
        rows: The ledger after the containers came to rest.
        tasks: What was to be done, by task id.
        until: Up to here every occurrence must be decided, in microseconds since 1970; ``None``
            asks for what the cursors of the ledger claim, and no more.
        patience: So many microseconds a first attempt may be late; ``None`` for any.
    """

    entries: Sequence[Entry]
    damaged: Sequence[str]
    rows: Rows
    tasks: Mapping[str, Expected]
    until: int | None = None
    patience: int | None = None
    _of_run: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    _attempts: dict[str, list[AttemptRow]] = field(default_factory=lambda: defaultdict(list))
    _runs: dict[str, RunRow] = field(default_factory=dict)

    def check(self) -> Findings:
        """Compare everything with everything."""
        for entry in self.entries:
            self._of_run[entry.run].append(entry)
        for attempt in self.rows.attempts:
            self._attempts[attempt.run].append(attempt)
        self._runs = {run.id: run for run in self.rows.runs}
        complaints = [("damaged journal", f"{line!r}") for line in self.damaged]
        if self.rows.integrity != "ok":
            complaints.append(("integrity", self.rows.integrity))
        complaints += self._schedules()
        complaints += self._firings()
        complaints += self._condemned()
        for run in self.rows.runs:
            complaints += self._row(run)
        for run_id in self._of_run.keys() - self._runs.keys():
            text = f"{self._of_run[run_id][0].task}: run {run_id} was started, and no row tells"
            complaints.append(("journal without row", text))
        delays = self._delays()
        if self.patience is not None:
            late = [delay for delay in delays if delay > self.patience]
            complaints += [
                ("late", f"started {delay / 1e6:.3f} s after its time") for delay in late
            ]
        return Findings(complaints, self._counts(), delays)

    def _schedules(self) -> Iterator[Complaint]:
        """Tell of occurrences that no row stands for, or more than one, or that are none."""
        cursors = {task.id: task for task in self.rows.tasks}
        runs_of: dict[str, list[RunRow]] = defaultdict(list)
        for run in self.rows.runs:
            runs_of[run.task].append(run)
        for task_id, expected in self.tasks.items():
            if expected.every is None:
                continue
            known = cursors.get(task_id)
            if known is None:
                yield "gap", f"{task_id}: the ledger does not know the task"
                continue
            start = known.anchor + expected.every if expected.start is None else expected.start
            if self.until is not None and known.cursor < self.until:
                behind = (self.until - known.cursor) / 1e6
                yield "undecided", f"{task_id}: decided up to {behind:.3f} s before the end only"
            last = max(known.cursor, self.until or known.cursor)
            passed = max(0, -(-(known.anchor + 1 - start) // expected.every))  # before it was known
            due = range(start + passed * expected.every, last + 1, expected.every)
            yield from _covered(task_id, due, runs_of[task_id], expected.every)

    def _firings(self) -> Iterator[Complaint]:
        """Tell of occurrences for which two runs were started, whatever the rows say."""
        of_instant: dict[tuple[str, int], set[str]] = defaultdict(set)
        for entry in self.entries:
            expected = self.tasks.get(entry.task)
            if expected is not None and expected.every is not None:
                of_instant[entry.task, entry.due].add(entry.run)
        for (task_id, due), runs in of_instant.items():
            if len(runs) > 1:
                yield "double firing", f"{task_id}: due {due}, started as {sorted(runs)}"

    def _condemned(self) -> Iterator[Complaint]:
        """Tell of runs given up before their third crash, where no quarantine explains them.

        It takes three crashes of their task, whichever of its runs they cut off, and ends one run.
        """
        crashes: Counter[str] = Counter()
        early: dict[str, list[RunRow]] = defaultdict(list)
        for run in self.rows.runs:
            crashes[run.task] += sum(each.outcome == "crash" for each in self._attempts[run.id])
            if (run.state, run.reason) == ("failed", "crash") and run.crashes < CRASH_LIMIT:
                early[run.task].append(run)
        for task_id, runs in early.items():
            if len(runs) * CRASH_LIMIT > crashes[task_id]:
                ended = ", ".join(f"{run.id} after {run.crashes}" for run in runs)
                text = f"given up: {ended}, and its task crashed {crashes[task_id]} times"
                yield "lost", f"{task_id}: {text}"

    def _row(self, run: RunRow) -> Iterator[Complaint]:
        """Tell what is wrong about one run."""
        expected = self.tasks.get(run.task, Expected())
        name = f"{run.task}: run {run.id} ({run.state}, attempt {run.attempt})"
        entries = self._of_run.get(run.id, [])
        starts = [entry for entry in entries if entry.event is Event.STARTED]
        last = {entry.event for entry in entries if entry.attempt == run.attempt}
        if run.state == "running":
            yield "left running", name
        elif run.state in OPEN:
            yield "unfinished", name
        if run.state in DROPPED:
            if starts:
                yield "dropped but started", name
            if not expected.may_drop and run.reason != "quarantined":
                yield "dropped", f"{name}: {run.reason}"
        yield from self._duplicates(name, run, starts, at_most_once=expected.at_most_once)
        yield from self._history(name, run)
        yield from _outcome(name, run, last, at_most_once=expected.at_most_once)
        for entry in starts:
            if entry.wall < run.due:
                early = (run.due - entry.wall) / 1e6
                yield "early", f"{name}: attempt {entry.attempt} started {early:.6f} s before time"
            if entry.due != run.due or entry.task != run.task:
                yield "another occurrence", f"{name}: due {run.due}, and {entry.due} when called"

    def _duplicates(
        self, name: str, run: RunRow, starts: list[Entry], *, at_most_once: bool
    ) -> Iterator[Complaint]:
        """Tell of calls that may not have been made, or that nothing explains."""
        outcomes = {attempt.number: attempt.outcome for attempt in self._attempts[run.id]}
        calls = Counter(entry.attempt for entry in starts)
        for number, count in calls.items():
            if count > 1:
                yield "unflagged duplicate", f"{name}: attempt {number} was called {count} times"
            if outcomes.get(number) == UNCALLED:
                yield "told as uncalled", f"{name}: attempt {number} was called"
            if number > run.attempt:
                yield "journal without row", f"{name}: attempt {number} was called"
            explained = outcomes.get(number) in FAILURES | TAKEN_AWAY
            if number < run.attempt and not explained:
                told = outcomes.get(number)
                yield "unflagged duplicate", f"{name}: attempt {number} was called, its row: {told}"
        if at_most_once and len(starts) > 1:
            repeated = sorted(calls)[:-1]
            if not repeated or any(outcomes.get(number) not in FAILURES for number in repeated):
                yield "duplicate of at most once", f"{name}: called {len(starts)} times"

    def _history(self, name: str, run: RunRow) -> Iterator[Complaint]:
        """Tell of attempts that are missing, too many, or out of order."""
        attempts = sorted(self._attempts[run.id], key=lambda each: each.number)
        numbers = [attempt.number for attempt in attempts]
        tokens = [attempt.token for attempt in attempts]
        before = [number for number in numbers if number < run.attempt]
        if before != list(range(1, run.attempt)) or numbers != sorted({*numbers}):
            yield "attempts", f"{name}: the attempts told of are {numbers}"
        if tokens != sorted({*tokens}) or (tokens and tokens[-1] > run.token):
            yield "tokens", f"{name}: token {run.token}, of its attempts {tokens}"

    def _delays(self) -> list[int]:
        firsts: dict[str, int] = {}
        for entry in self.entries:
            if entry.event is Event.STARTED:
                firsts.setdefault(entry.run, entry.wall - entry.due)
        return sorted(firsts.values())

    def _counts(self) -> dict[str, int]:
        starts = [entry for entry in self.entries if entry.event is Event.STARTED]
        states = Counter(run.state for run in self.rows.runs)
        repeated = sum(count > 1 for count in Counter(entry.run for entry in starts).values())
        given_up = [run for run in self.rows.runs if (run.state, run.reason) == ("failed", "crash")]
        return {
            "occurrences": sum(run.occurrences for run in self.rows.runs),
            "runs": len(self.rows.runs),
            "calls": len(starts),
            "runs called more than once, all flagged": repeated,
            "attempts cut off": sum(each.outcome in TAKEN_AWAY for each in self.rows.attempts),
            "given up after three crashes": len(given_up),
            "lost as at-most-once": states["lost"],
            "skipped or missed": states["skipped"] + states["missed"],
        }


def _covered(task_id: str, due: range, runs: list[RunRow], every: int) -> Iterator[Complaint]:
    """Compare the occurrences in *due* with the rows of their task."""
    stands_for: Counter[int] = Counter()
    for run in runs:
        for back in range(run.occurrences):
            stands_for[run.due - back * every] += 1
    for instant in due:
        count = stands_for.pop(instant, 0)
        if count == 0:
            yield "gap", f"{task_id}: nothing stands for its occurrence at {instant}"
        elif count > 1:
            yield "decided twice", f"{task_id}: {count} rows stand for its occurrence at {instant}"
    for instant in stands_for:
        yield "no occurrence", f"{task_id}: a row stands for {instant}, when it was not due"


def _outcome(
    name: str, run: RunRow, last: set[Event], *, at_most_once: bool
) -> Iterator[Complaint]:
    """Tell where the state of a run is not what its last attempt was seen to do."""
    if run.state == "completed":
        if not {Event.STARTED, Event.RETURNED} <= last:
            yield "row without journal", f"{name}: its last attempt was not seen to return"
        if run.result is None or json.loads(run.result) != [run.attempt, run.token]:
            text = f"{name}: its result {run.result} is not that of token {run.token}"
            yield "stale write", text
    elif run.state == "failed" and run.reason in FAILURES:
        wanted = {Event.STARTED, Event.RAISED} if run.reason == "exception" else {Event.STARTED}
        if not wanted <= last:
            yield "row without journal", f"{name}: its last attempt was not seen to fail"
    elif run.state == "failed" and run.reason != "crash":
        yield "lost", f"{name}: {run.reason}, after {run.crashes} crashes"
    elif run.state == "lost" and (not at_most_once or run.reason not in TAKEN_AWAY):
        yield "lost", f"{name}: {run.reason}"
