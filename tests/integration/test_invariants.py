"""Each invariant: a history that keeps all of them, and one change that breaks just that one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import text

from core.invariants import INVARIANTS, InvariantError
from core.records import Firing
from core.run import Cause, RunState
from manager.testing import Lab
from tests.engine_tools import HOUR, START, run_of
from tests.pages import command, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.tools import Project

HOURLY: Final = {"hours": 1}


class Flaky:
    """Fails on its first calls."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def __call__(self) -> str:
        if self.left > 0:
            self.left -= 1
            raise ValueError("not yet")
        return "done"


def write(lab: Lab, statement: str, **values: Any) -> None:  # noqa: ANN401 - whatever is bound
    """Change the ledger behind the back of everybody; it changes something."""
    changed = lab._bench.database.write(lambda link: link.execute(text(statement), values).rowcount)
    assert changed > 0, statement


@pytest.fixture
def history() -> Iterator[Lab]:
    """Give a ledger with runs in every state, retried, crashed, interrupted, skipped, missed."""
    with Lab("2026-01-05 12:00") as lab:
        lab.define("plain", trigger="interval", trigger_args=HOURLY)
        lab.define("nightly", trigger="cron", trigger_args={"expression": "30 * * * *"})
        lab.define("flaky", Flaky(2), max_retries=2)
        lab.define("hopeless", Flaky(9), max_retries=1)
        lab.define("once", delivery="at_most_once", timeout=None)
        lab.define("again", timeout=None)
        lab.define("wide", trigger="interval", trigger_args={"minutes": 20}, overlap={"allow": 2})
        for task_id in ("once", "again"):
            lab.takes(task_id, "10 min")
        lab.advance("2 minutes")
        for task_id in ("flaky", "hopeless"):
            lab.fire(task_id)
        for task_id in ("once", "again"):
            lab.tasks.run_task(task_id)
        lab.advance("1 minute")
        lab.crash()
        lab.restart("1 hour")
        lab.tasks.pause_task("plain")
        lab.advance("4 hours")
        lab.tasks.resume_task("plain")
        lab.tasks.update_task("nightly", trigger_args={"expression": "*/15 * * * *"})
        lab.advance("3 hours")
        lab.tasks.run_task("once")
        lab.advance("1 minute")
        lab.restart()
        lab.advance("1 hour")
        lab.takes("again", "3 hours")
        lab.tasks.run_task("again")
        lab.tasks.run_task("again")
        lab.advance("10 minutes")
        yield lab


def broken(lab: Lab) -> list[str]:
    """Return the ids of the invariants that are broken, each once."""
    found = lab.tasks.verify()
    assert found.ok is not bool(found.breaches)
    counts = {each.id: each.breaches for each in found.checked}
    assert list(counts) == [each.id for each in INVARIANTS]
    assert sum(counts.values()) == len(found.breaches)
    return sorted({each.invariant for each in found.breaches})


def test_a_history_of_every_kind_keeps_all_invariants(history: Lab) -> None:
    """Nothing is found where nothing is wrong; and there was enough to look at."""
    found = history.tasks.verify()
    runs = history.tasks.list_runs(limit=1_000)

    assert [str(each) for each in found.breaches] == []
    assert (found.ok, found.runs, found.tasks, found.notes) == (True, len(runs), 7, ())
    assert found.occurrences > 30
    states = {run.state for run in runs}
    assert set(RunState) - states == {RunState.RETRYING, RunState.CANCELLED}


CHANGES: Final[Mapping[str, str]] = {
    "I1 an occurrence has two rows": (
        "INSERT INTO runs SELECT 'twin', task_id, 'otherwise', scheduled_for, cause, state, reason,"
        " lane, priority, attempt, crashes, interruptions, token, node, cancel_requested,"
        " not_before, occurrences, args, kwargs, result, error, traceback, created_at, started_at,"
        " finished_at FROM runs WHERE task_id = 'nightly' AND state = 'completed'"
        " ORDER BY id DESC LIMIT 1"
    ),
    "I2 an occurrence has no row": (
        "DELETE FROM runs WHERE id = (SELECT id FROM runs WHERE task_id = 'nightly'"
        " AND state = 'completed' ORDER BY id DESC LIMIT 1 OFFSET 2)"
    ),
    "I2 a cursor went on without its rows": (
        "UPDATE tasks SET cursor = cursor + 7200000000, next_run = next_run + 7200000000"
        " WHERE id = 'wide'"
    ),
    "I2 a summary counts too few": (
        "UPDATE runs SET occurrences = occurrences - 1 WHERE task_id = 'plain'"
        " AND state = 'skipped' AND occurrences > 1"
    ),
    "I2 a run was made before its time": (
        "UPDATE runs SET created_at = scheduled_for - 1 WHERE id = (SELECT id FROM runs"
        " WHERE task_id = 'wide' AND state = 'completed' LIMIT 1)"
    ),
    "I3 a failed run became completed": (
        "UPDATE runs SET state = 'completed', reason = NULL WHERE task_id = 'hopeless'"
    ),
    "I3 a final run has no end": (
        "UPDATE runs SET finished_at = NULL WHERE id = (SELECT id FROM runs"
        " WHERE task_id = 'wide' AND state = 'completed' LIMIT 1)"
    ),
    "I3 a state that there is not": (
        "UPDATE runs SET state = 'done' WHERE id = (SELECT id FROM runs"
        " WHERE task_id = 'wide' AND state = 'completed' LIMIT 1)"
    ),
    "I4 a token fell": "UPDATE attempts SET token = 9 WHERE number = 1 AND run_id IN"
    " (SELECT id FROM runs WHERE task_id = 'flaky')",
    "I4 an attempt is not told": "DELETE FROM attempts WHERE number = 1 AND run_id IN"
    " (SELECT id FROM runs WHERE task_id = 'flaky')",
    "I5 a run ended without a claim": (
        "UPDATE runs SET attempt = 0, token = 0, started_at = NULL WHERE id = (SELECT id FROM runs"
        " WHERE task_id = 'wide' AND state = 'completed' LIMIT 1)"
    ),
    "I5 a skipped run was started": (
        "UPDATE runs SET attempt = 1, token = 1, started_at = created_at WHERE task_id = 'plain'"
        " AND state = 'skipped'"
    ),
    "I6 a lost run waits again": (
        "UPDATE runs SET state = 'pending', finished_at = NULL WHERE state = 'lost'"
        " AND task_id = 'once'"
    ),
    "I7 two runs of one task are under way": (
        "UPDATE runs SET state = 'running', attempt = 1, token = 1, started_at = created_at,"
        " node = (SELECT node FROM runs WHERE state = 'running')"
        " WHERE task_id = 'again' AND state = 'pending'"
    ),
    "I8 a run was tried too often": "UPDATE tasks SET max_retries = 0 WHERE id = 'flaky'",
    "I9 an outcome was written under an old token": (
        "DELETE FROM attempts WHERE number = 3 AND run_id IN"
        " (SELECT id FROM runs WHERE task_id = 'flaky')"
    ),
    "I10 a run is left to a node that nobody knows": (
        "UPDATE runs SET node = 'ghost' WHERE task_id = 'again' AND state = 'running'"
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_breaks_an_invariant_is_found_as_just_that(name: str, history: Lab) -> None:
    """One breach planted, one invariant named; with the task, what was expected and found."""
    assert broken(history) == []
    write(history, CHANGES[name])

    assert broken(history) == [name.split(maxsplit=1)[0]]
    breach = history.tasks.verify().breaches[0]
    assert breach.expected
    assert breach.found
    assert breach.task_id in {task.id for task in history.tasks.list_tasks()}


def test_every_invariant_is_broken_by_a_test() -> None:
    """None is only promised."""
    assert {name.split()[0] for name in CHANGES} == {each.id for each in INVARIANTS}
    assert [each.id for each in INVARIANTS] == [f"I{number}" for number in range(1, 11)]


def test_what_is_due_and_not_decided_is_found(history: Lab) -> None:
    """I10: a task that nobody times though a node has its function; not one that is paused."""
    statement = "UPDATE tasks SET next_run = next_run - 14400000000 WHERE id = 'wide'"
    write(history, statement)
    assert broken(history) == ["I10"]
    write(history, "UPDATE tasks SET paused = 1 WHERE id = 'wide'")
    assert broken(history) == []


def test_a_run_that_waits_beside_an_idle_node_is_found(history: Lab) -> None:
    """I10: started late is started; never, with all places free, is a breach."""
    write(history, "UPDATE runs SET state = 'cancelled', finished_at = 1 WHERE state = 'running'")
    write(history, "UPDATE runs SET not_before = created_at - 7200000000 WHERE state = 'pending'")
    with history.tasks.ledger.reading.snapshot() as snapshot:
        found = [each.invariant.id for each in snapshot.arrears(history.clock.now())]
    assert found == ["I10"]


def test_what_was_late_and_went_on_is_no_breach(history: Lab) -> None:
    """A node that just woke up is about to decide what is due: the second look finds it done."""
    history.crash()
    history.clock.advance(5 * HOUR)
    history.node.start()
    write(history, "UPDATE nodes SET started_at = started_at - 7200000000 WHERE state = 'alive'")
    assert broken(history) == []


def test_what_was_pruned_is_not_missed(history: Lab) -> None:
    """The clean-up of old runs leaves a history that can still be held against its schedule."""
    pruned = history.tasks.ledger.prune(history.clock.now() - 2 * HOUR)
    assert pruned > 0
    assert broken(history) == []
    assert history.tasks.verify().occurrences > 0


def test_rules_hold_for_the_runs_since_they_were_made(history: Lab) -> None:
    """An edit that allows fewer retries accuses no run of before."""
    history.tasks.update_task("flaky", max_retries=0)
    assert broken(history) == []


def test_a_clock_that_was_set_back_breaks_nothing(history: Lab) -> None:
    """An hour that comes twice has the rows of its first time and those of its second."""
    history.clock.step(-HOUR)
    history.advance("3 hours")
    assert broken(history) == []


def test_a_resume_after_the_clock_was_set_back_decides_nothing_twice() -> None:
    """What a pause skipped stays skipped in the hours that come a second time."""
    with Lab("2026-01-05 12:00") as lab:
        lab.define("hourly", trigger="cron", trigger_args={"expression": "0 * * * *"})
        lab.tasks.pause_task("hourly")
        lab.advance("6 hours")
        lab.tasks.resume_task("hourly")
        lab.clock.step(-5 * HOUR)
        lab.tasks.pause_task("hourly")
        lab.advance("10 minutes")
        lab.tasks.resume_task("hourly")
        lab.advance("3 hours")
        assert [(run.state, run.occurrences) for run in lab.runs("hourly")] == [
            (RunState.SKIPPED, 6)
        ]
        lab.advance("3 hours")
        assert len(lab.runs("hourly")) == 2
        assert broken(lab) == []


def test_a_cursor_that_would_fall_is_refused_at_once() -> None:
    """I2 in code: no statement is sent that would decide occurrences again."""
    with pytest.raises(InvariantError, match=r"I2, .*'t'.*expected a cursor from .* on, found"):
        Firing(task_id="t", since=START, cursor=START - HOUR, next_run=None, runs=())


def test_a_call_without_a_claim_is_refused_at_once(history: Lab) -> None:
    """I5 in code: what waits is not called; I4: neither is what is held under a higher token."""
    engine = history.node._engine
    assert engine is not None
    definition = history.tasks._home.registry.require("plain")
    waiting = run_of("plain", cause=Cause.MANUAL)
    with pytest.raises(InvariantError, match=r"I5, .*expected a run that was claimed, found pend"):
        engine._execution.begin(waiting, definition)
    (live,) = engine._execution.live()
    with pytest.raises(InvariantError, match=r"I4, .*expected a token above 1, found token 1"):
        engine._execution.begin(live.run, definition)


def test_the_command_tells_what_it_checked_and_found(project: Project) -> None:
    """Exit 0 where all is in order, 1 on a breach; in a table or as JSON, while it is in use."""
    project.plugin("""
        def nightly():
            return "done"

        TASK_DEFINITIONS = [
            {"id": "nightly", "func": nightly, "trigger": "interval", "trigger_args": {"hours": 1}}
        ]
    """)
    assert command("verify").strip().startswith("no container has run here yet")
    assert json.loads(command("verify", "--json"))["ok"] is True
    tasks = project.start()
    run = tasks.run_task("nightly")
    lines = [line for line in command("verify").splitlines() if "taskrack" not in line]
    assert [line.split()[:2] for line in lines[:10]] == [[each.id, "holds:"] for each in INVARIANTS]
    assert lines[-1].startswith("1 task, 1 run, ")
    assert lines[-1].endswith("all is in order")

    change = "UPDATE runs SET state = 'lost', attempt = 0, token = 0, finished_at = 1"
    tasks.ledger._database.write(lambda link: link.execute(text(change)))
    told = command("verify", code=1)
    expected = f"I5: nightly, {run.id}: expected a claim, with node and start, found lost with"
    assert expected in told
    found = json.loads(command("verify", "--json", code=1))
    assert (found["ok"], found["breaches"][0]["invariant"]) == (False, "I5")


def test_the_page_has_the_sentences_of_the_code() -> None:
    """What is promised is what is checked."""
    assert table("ledger.md", "What always holds") == [
        [each.id, each.sentence] for each in INVARIANTS
    ]
