"""The promise of an executor, kept by child processes, and what they promise beyond it."""

from __future__ import annotations

import logging
import os
import queue
import signal
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.definition import TaskDefinition
from core.errors import StateError
from core.isolation import Isolation, ResourceLimits
from core.records import Call, Outcome
from core.run import Reason, RunState
from manager.executors import ProcessExecutor
from manager.executors.children.budget import EXCEEDED, LINE_LIMIT
from manager.executors.children.kernel import children_of, tree_of
from tests import isolated_tasks as tasks
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE: Final = 3
SECONDS: Final = 30
DUE: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ProcessBench:
    """Child processes at work, with calls of importable functions."""

    def __init__(self, folder: Path, *, size: int = SIZE, max_runs: int = 1_000) -> None:
        self.setup: dict[str, Any] = {
            "program": "manager.task.isolated",
            "argv": ["tests"],
            "project": str(folder),
            "folder": str(folder / "none"),
            "plugins": [],
            "main": None,
            "modules": ["tests.isolated_tasks"],
            "size": size,
            "max_runs": max_runs,
        }
        self.outcomes: queue.SimpleQueue[tuple[Call, Outcome]] = queue.SimpleQueue()
        self.executor = ProcessExecutor(size, lambda: self.setup)
        self.executor.start(lambda call, outcome: self.outcomes.put((call, outcome)))

    def call(
        self,
        func: Callable[..., Any],
        *args: object,
        run_id: str = "run",
        **more: Any,  # noqa: ANN401 - columns
    ) -> Call:
        """Submit a call of *func*."""
        limits = ResourceLimits(**more.pop("limits", {}))
        definition = TaskDefinition(
            id=f"task-of-{run_id}",
            name="task",
            func=func,
            trigger="interval",
            trigger_args={"hours": 1},
            plugin="acme",
            isolation=Isolation.PROCESS,
            limits=limits,
            called=True,
        )
        known: dict[str, Any] = {"token": 1, "kwargs": {}, "scheduled_for": DUE}
        call = Call(
            run_id=run_id,
            task_id=definition.id,
            func=func,
            args=args,
            scope=nullcontext,
            definition=definition,
            **known | more,
        )
        self.executor.submit(call)
        return call

    def next(self) -> tuple[Call, Outcome]:
        """Wait for the next call to end."""
        return self.outcomes.get(timeout=SECONDS)

    def outcome(self) -> Outcome:
        """Wait for the next call to end, and return how."""
        return self.next()[1]

    def value(self, func: Callable[..., Any], *args: object, **more: Any) -> Any:  # noqa: ANN401
        """Call *func* and return what it returned."""
        self.call(func, *args, **more)
        outcome = self.outcome()
        assert outcome.state is RunState.COMPLETED, outcome
        return outcome.value

    def text(self, func: Callable[..., Any], *args: object, **more: Any) -> str:  # noqa: ANN401 - columns
        """Call *func*, which fails, and return what is said of that."""
        self.call(func, *args, **more)
        outcome = self.outcome()
        assert outcome.state is RunState.FAILED, outcome
        assert outcome.fault is not None
        return outcome.fault.text


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessBench]:
    """Give one executor for all tests: what a call does to it, the next must not notice."""
    built = ProcessBench(tmp_path_factory.mktemp("bench"))
    yield built
    built.executor.stop()


@pytest.fixture
def bench(shared: ProcessBench) -> ProcessBench:
    """Give the executor, idle."""
    with suppress(queue.Empty):
        while True:
            shared.outcomes.get_nowait()
    eventually(lambda: shared.executor.free() == SIZE, timeout=SECONDS)
    return shared


def is_alive(pid: int) -> bool:
    """Tell whether a process exists that is not just waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def left_by(path: Path) -> list[int]:
    """Return the processes that a call wrote down, once it has."""
    eventually(path.exists, timeout=SECONDS)
    return [int(each) for each in path.read_text(encoding="utf-8").split()]


def begun(path: Path) -> None:
    """Wait for a call to begin."""
    eventually(path.with_suffix(".begun").exists, timeout=SECONDS)


def test_a_call_gives_the_json_of_what_the_function_returned(bench: ProcessBench) -> None:
    """The call that was submitted comes back with it, once."""
    call = bench.call(tasks.gives, {"rows": [1, 2.5, None, "ä"]})
    ended, outcome = bench.next()
    assert ended is call
    assert (outcome.state, outcome.value) == (RunState.COMPLETED, {"rows": [1, 2.5, None, "ä"]})
    assert outcome.remote
    assert bench.value(tasks.gives) is None
    assert bench.value(tasks.gives_later, 3) == 3
    assert bench.executor.figures().busy == 0


@pytest.mark.parametrize("name", tasks.ERRORS)
def test_whatever_a_call_raises_is_its_own_failure(bench: ProcessBench, name: str) -> None:
    """It comes back as text, with the names of its classes; the next call completes."""
    bench.call(tasks.raises, name)
    outcome = bench.outcome()
    assert (outcome.state, outcome.reason) == (RunState.FAILED, Reason.EXCEPTION)
    assert outcome.fault is not None
    assert outcome.fault.text.startswith(name)
    assert {name, "BaseException"} <= outcome.fault.names
    assert bench.value(tasks.gives, "next") == "next"


def test_an_error_keeps_its_classes_and_its_traceback(bench: ProcessBench) -> None:
    """Also where the container does not know them; the frames are the task's own."""
    bench.call(tasks.raises_its_own)
    fault = bench.outcome().fault
    assert fault is not None
    assert fault.text == "BadOrderError: order 7"
    assert {"tests.isolated_tasks.BadOrderError", "LookupError"} <= fault.names
    assert fault.traceback is not None
    assert "in raises_its_own" in fault.traceback
    assert "executors" not in fault.traceback


def test_an_error_that_cannot_be_told_is_told_as_far_as_it_goes(bench: ProcessBench) -> None:
    """Neither one without a text nor one of fifty million characters holds anything up."""
    assert bench.text(tasks.raises_unprintable).startswith("Unprintable: (its message raised")
    assert len(bench.text(tasks.raises_at_length)) == 4_096


def test_free_places_are_counted(bench: ProcessBench, tmp_path: Path) -> None:
    """Each call under way takes one, its end gives it back."""
    for number in range(2):
        bench.call(tasks.until, str(tmp_path / "go"), run_id=str(number))
    assert bench.executor.free() == SIZE - 2
    assert bench.executor.figures().busy == 2
    (tmp_path / "go").touch()
    assert {bench.outcome().value, bench.outcome().value} == {"done"}
    assert bench.executor.free() == SIZE


def test_an_abandoned_call_is_killed(bench: ProcessBench, tmp_path: Path) -> None:
    """It counts as leaked until its process is gone, which is soon; its end is told."""
    bench.call(tasks.until, str(tmp_path / "never"))
    begun(tmp_path / "never")
    bench.executor.abandon("run")
    assert bench.next()[0].run_id == "run"
    figures = bench.executor.figures()
    assert (figures.busy, figures.leaked) == (0, ())
    assert bench.executor.free() == SIZE


def test_a_second_attempt_beside_an_abandoned_first_is_counted_apart(
    bench: ProcessBench, tmp_path: Path
) -> None:
    """The end of the first is not taken for that of the second."""
    bench.call(tasks.until, str(tmp_path / "never"))
    begun(tmp_path / "never")
    bench.executor.abandon("run")
    bench.call(tasks.until, str(tmp_path / "go"), token=2)
    begun(tmp_path / "go")
    assert bench.next()[0].token == 1
    (tmp_path / "go").touch()
    ended, outcome = bench.next()
    assert (ended.token, outcome.value) == (2, "done")


def test_abandoning_or_interrupting_what_is_over_does_nothing(bench: ProcessBench) -> None:
    """The call ended first; an unknown run is nobody's."""
    bench.value(tasks.gives)
    bench.executor.abandon("run")
    bench.executor.abandon("unknown")
    assert bench.executor.interrupt("run") is False
    assert bench.executor.figures().leaked == ()
    assert bench.value(tasks.gives, "goes on") == "goes on"


def test_context_variables_do_not_leak_from_call_to_call(bench: ProcessBench) -> None:
    """What one call sets, the next in the same process does not see."""
    assert [bench.value(tasks.sets_a_variable) for _ in range(3)] == ["clean"] * 3


def test_a_call_knows_its_run(bench: ProcessBench) -> None:
    """The same as in the container, but for the manager, which is elsewhere."""
    assert bench.value(tasks.context, attempt=2, token=5) == {
        "run_id": "run",
        "task_id": "task-of-run",
        "attempt": 2,
        "token": 5,
        "scheduled_for": DUE.isoformat(),
        "manager": None,
        "stopping": False,
    }


@pytest.mark.parametrize("func", [tasks.tidies, tasks.tidies_too], ids=["def", "async"])
def test_a_call_that_is_interrupted_tidies_up(
    bench: ProcessBench, func: Callable[..., Any], tmp_path: Path
) -> None:
    """Its ``finally`` blocks run; it is CANCELLED on request."""
    bench.call(func, str(tmp_path / "tidy"))
    begun(tmp_path / "tidy")
    assert bench.executor.interrupt("run") is True
    outcome = bench.outcome()
    assert (outcome.state, outcome.reason) == (RunState.CANCELLED, Reason.REQUESTED)
    assert (tmp_path / "tidy").exists()
    assert bench.executor.free() == SIZE


def test_a_call_that_is_interrupted_at_once_ends_too(bench: ProcessBench, tmp_path: Path) -> None:
    """Whether it has begun or not, it is told once, as CANCELLED."""
    bench.call(tasks.tidies, str(tmp_path / "tidy"))
    bench.executor.interrupt("run")
    assert bench.outcome().state is RunState.CANCELLED
    assert bench.value(tasks.gives, "next") == "next"


def test_a_call_hears_that_its_run_is_asked_to_end(bench: ProcessBench, tmp_path: Path) -> None:
    """``stopping`` becomes true, and nothing else happens to it."""
    listeners: list[Callable[[], None]] = []
    bench.call(tasks.listens, str(tmp_path / "file"), hear=listeners.append)
    begun(tmp_path / "file")
    for listener in listeners:
        listener()
    assert bench.outcome().value == "heard"
    assert bench.value(tasks.context)["stopping"] is False


@pytest.mark.parametrize(
    ("func", "args", "text"),
    [
        (tasks.segfaults, (), "its process was killed by signal 11 (SIGSEGV)"),
        (tasks.exits, (7,), "its process ended with exit code 7"),
        (tasks.exits, (0,), "its process ended with exit code 0"),
        (
            tasks.is_killed,
            (),
            "its process was killed by signal 9 (SIGKILL); the system does so when memory runs out",
        ),
    ],
    ids=["segfault", "exit-7", "exit-0", "kill"],
)
def test_a_crash_is_named(
    bench: ProcessBench, func: Callable[..., Any], args: tuple[object, ...], text: str
) -> None:
    """By the signal or the exit code; the next call gets another process."""
    bench.call(func, *args)
    outcome = bench.outcome()
    assert (outcome.state, outcome.reason) == (RunState.FAILED, Reason.CRASH)
    assert outcome.fault is not None
    assert outcome.fault.text == text
    assert bench.value(tasks.gives, "next") == "next"


@pytest.mark.parametrize(
    "func",
    [tasks.leaves, tasks.leaves_and_crashes, tasks.leaves_and_stays],
    ids=["completed", "crashed", "interrupted"],
)
def test_nothing_that_a_call_started_outlives_it(
    bench: ProcessBench, func: Callable[..., Any], tmp_path: Path
) -> None:
    """Children, sessions of their own and daemons that forked twice, however the call ends."""
    bench.call(func, str(tmp_path / "pids"))
    pids = left_by(tmp_path / "pids")
    assert len(pids) == 3
    if func is tasks.leaves_and_stays:
        assert all(map(is_alive, pids))
        bench.executor.interrupt("run")
    bench.outcome()
    assert [pid for pid in pids if is_alive(pid)] == []


def test_a_supervisor_that_is_killed_is_replaced(bench: ProcessBench, tmp_path: Path) -> None:
    """Its calls have crashed, nothing of it is left, and the next call finds another one."""
    before = bench.executor.supervisor
    text = bench.text(tasks.kills_its_supervisor, str(tmp_path / "pids"))
    assert text.startswith("the supervisor of its process died: it was killed by signal 9")
    eventually(lambda: not any(map(is_alive, left_by(tmp_path / "pids"))))
    assert bench.value(tasks.gives, "next") == "next"
    assert bench.executor.supervisor not in {None, before}


def test_a_call_that_exceeds_its_memory_is_killed(bench: ProcessBench) -> None:
    """Its children count with it; the limit is named."""
    limits = {"memory_mb": 200}
    text = bench.text(tasks.hogs_memory, 1_000, limits=limits)
    assert text.endswith("MB, above its memory limit of 200 MB")
    text = bench.text(tasks.hogs_memory_in_a_child, limits=limits)
    assert text.endswith("MB, above its memory limit of 200 MB")
    assert bench.value(tasks.gives, "next", limits=limits) == "next"


def test_what_forked_children_share_is_counted_once(bench: ProcessBench) -> None:
    """A hundred megabytes in six processes are no six hundred."""
    assert bench.value(tasks.forks_with_much_memory, limits={"memory_mb": 300}) == "shared"


def test_a_call_that_exceeds_its_processor_time_is_killed(bench: ProcessBench) -> None:
    """What other calls used in the same process before does not count."""
    text = bench.text(tasks.spins, limits={"cpu_seconds": 0.3})
    assert text.endswith("of processor time, above its processor time limit of 0.3 s")
    assert bench.value(tasks.gives, "next", limits={"cpu_seconds": 0.3}) == "next"


@pytest.mark.parametrize(
    ("what", "form"),
    [
        ("nan", {"repr": "nan"}),
        ("cycle", {"repr": "[[...]]"}),
        ("bytes", {"repr": r"b'\x00\xff'"}),
        ("set", {"repr": "{1}"}),
        ("tuple", [1, 2]),
    ],
)
def test_a_result_that_is_no_json_comes_back_as_the_ledger_keeps_it(
    bench: ProcessBench, what: str, form: object
) -> None:
    assert bench.value(tasks.returns, what) == form


@pytest.mark.parametrize("what", ["huge", "wide", "deep", "object", "surrogate"])
def test_an_odd_result_holds_nothing_up(bench: ProcessBench, what: str) -> None:
    """However large, deep or strange: the run completes, and so does the next."""
    bench.value(tasks.returns, what)
    assert bench.value(tasks.gives, "next") == "next"


def test_a_process_that_is_tidy_is_used_again(bench: ProcessBench) -> None:
    """The second call costs no fork."""
    assert bench.value(tasks.who) == bench.value(tasks.who)


@pytest.mark.parametrize(
    "what",
    [
        *("folder", "umask", "signals", "environment", "path", "logging", "sockets", "files"),
        "memory",
    ],
)
def test_a_process_that_a_call_changed_is_not_used_again(bench: ProcessBench, what: str) -> None:
    """The next call finds everything as it was."""
    before = bench.value(tasks.changes, what)
    assert bench.value(tasks.who) != before
    assert not is_alive(before)


def test_a_process_with_a_thread_that_a_call_left_is_not_used_again(bench: ProcessBench) -> None:
    before = bench.value(tasks.leaves_a_thread)
    assert bench.value(tasks.who) != before


def test_a_process_is_replaced_after_so_many_calls(tmp_path: Path) -> None:
    """As ``manager.process_max_runs`` says."""
    bench = ProcessBench(tmp_path, size=1, max_runs=2)
    try:
        pids = [bench.value(tasks.who) for _ in range(4)]
    finally:
        bench.executor.stop()
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_what_a_call_says_is_logged_by_the_container(
    bench: ProcessBench, caplog: pytest.LogCaptureFixture
) -> None:
    """Under its logger, or its plugin's where it is printed; with its run on each line."""
    with caplog.at_level(logging.INFO):
        bench.value(tasks.says)
        bench.value(tasks.says_nothing)
    said = {(record.name, record.levelname, record.getMessage()) for record in caplog.records}
    assert {
        ("acme", "INFO", "printed"),
        ("acme", "WARNING", "complained"),
        ("acme", "INFO", "no line break"),
        ("tests.isolated", "INFO", "logged 1"),
        ("tests.isolated", "ERROR", "bound"),
        ("standard", "WARNING", "standard 2"),
    } <= said
    assert any("UserWarning: beware" in text for _, _, text in said)
    assert not any("not for this level" in text for _, _, text in said)
    records = {record.getMessage(): vars(record) for record in caplog.records}
    assert records["printed"]["task_id"] == "task-of-run"
    assert (records["bound"]["run_id"], records["bound"]["attempt"]) == ("run", 1)
    assert records["bound"]["order"] == 7


@pytest.mark.parametrize("func", [tasks.floods, tasks.floods_the_log], ids=["print", "log"])
def test_a_call_that_says_too_much_is_cut_short(
    bench: ProcessBench, func: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on undisturbed; that something is missing is said."""
    with caplog.at_level(logging.INFO):
        assert bench.value(func, 20_000) == "done"
        assert bench.value(tasks.says) is None
    texts = [record.getMessage() for record in caplog.records]
    assert texts.count(EXCEEDED) == 1
    assert len(texts) < 1_100
    assert "printed" in texts


def test_odd_characters_and_long_lines_are_logged_as_text(
    bench: ProcessBench, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is formatted a second time, and a line ends somewhere."""
    with caplog.at_level(logging.INFO):
        bench.value(tasks.says_odd_things)
    texts = [record.getMessage() for record in caplog.records]
    assert any("nul" in text and r"\xff\xfe" in text for text in texts)
    assert "{extra} {0.__class__}" in texts
    assert max(map(len, texts)) <= LINE_LIMIT + len("... (cut)")


def test_files_below_a_hundred_may_be_closed(bench: ProcessBench) -> None:
    """The connection to the container is not among them."""
    assert bench.value(tasks.closes_files) == "closed"


def test_a_call_that_cuts_itself_off_has_crashed(bench: ProcessBench) -> None:
    """That it cannot say how it ended is said."""
    bench.call(tasks.closes_everything)
    outcome = bench.outcome()
    assert outcome.reason is Reason.CRASH
    bench.call(tasks.forges)
    outcome = bench.outcome()
    assert outcome.reason is Reason.CRASH
    assert outcome.fault is not None
    assert "sent something odd" in outcome.fault.text
    assert bench.value(tasks.gives, "next") == "next"


def test_a_call_that_kills_its_own_group_takes_nobody_with_it(bench: ProcessBench) -> None:
    """Its session is its own."""
    before = bench.executor.supervisor
    assert "SIGKILL" in bench.text(tasks.kills_its_session)
    assert bench.value(tasks.parent) == before == bench.executor.supervisor


@pytest.mark.parametrize(
    ("args", "text"),
    [(("x" * 262_144,), "at most 262144 bytes"), ((object(),), "JSON"), ((float("nan"),), "JSON")],
    ids=["long", "object", "nan"],
)
def test_arguments_that_cannot_travel_are_refused(
    bench: ProcessBench, args: tuple[object, ...], text: str
) -> None:
    """The call is not made, and takes no place."""
    with pytest.raises(StateError, match=text):
        bench.call(tasks.gives, *args)
    assert bench.executor.free() == SIZE


def test_a_function_that_the_process_does_not_have_is_a_failure(bench: ProcessBench) -> None:
    """It says what was looked for; a lambda gets here only past its registration."""
    assert "has no" in bench.text(lambda: None)


def test_an_isolated_call_starts_no_container(bench: ProcessBench) -> None:
    """Neither by mistake nor through a script that is imported a second time."""
    assert "start() was called in the process of an isolated task" in bench.text(
        tasks.starts_a_container
    )


def test_stopping_leaves_no_process(tmp_path: Path) -> None:
    """Whatever runs is killed with what it started; a second stop finds nothing to do."""
    bench = ProcessBench(tmp_path)
    bench.call(tasks.leaves_and_stays, str(tmp_path / "pids"))
    bench.call(tasks.until, str(tmp_path / "never"), run_id="other")
    begun(tmp_path / "never")
    pids = left_by(tmp_path / "pids")
    supervisor = bench.executor.supervisor
    assert supervisor is not None
    family = {*pids, *tree_of(supervisor)}
    assert len(family) >= 6
    bench.executor.stop()
    assert [pid for pid in family if is_alive(pid)] == []
    bench.executor.stop()


def test_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    """A container without isolated tasks has no child."""
    before = set(children_of(os.getpid()))
    bench = ProcessBench(tmp_path)
    assert bench.executor.supervisor is None
    assert set(children_of(os.getpid())) <= before
    bench.executor.stop()


def test_plugins_that_cannot_be_loaded_again_are_named(tmp_path: Path) -> None:
    """The call is rejected, and no more are taken while the next try is put off."""
    bench = ProcessBench(tmp_path)
    bench.setup["modules"] = ["no_such_module_anywhere"]
    try:
        texts = [bench.text(tasks.gives) for _ in range(2)]
        said = "ModuleNotFoundError while the plugins were loaded"
        assert texts == [f"no process can be started for it: {said}"] * 2
        assert bench.executor.free() == 0
        bench.setup["modules"] = []
        eventually(lambda: bench.executor.free() == SIZE)
        assert bench.value(tasks.gives, "mended") == "mended"
    finally:
        bench.executor.stop()


def test_a_supervisor_that_is_stopped_holds_up_no_stop(tmp_path: Path) -> None:
    """One that does not answer is killed, and what it started as well."""
    bench = ProcessBench(tmp_path)
    bench.call(tasks.leaves_and_stays, str(tmp_path / "pids"))
    pids = left_by(tmp_path / "pids")
    supervisor = bench.executor.supervisor
    assert supervisor is not None
    os.kill(supervisor, signal.SIGSTOP)
    bench.executor.stop()
    assert [pid for pid in [supervisor, *pids] if is_alive(pid)] == []


def test_a_plugin_that_starts_threads_while_it_is_loaded_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A fork beside a thread may hang; the thread is named, and calls are made."""
    bench = ProcessBench(tmp_path)
    bench.setup["modules"] = ["tests.threaded_module"]
    try:
        assert bench.value(tasks.gives, "made") == "made"
    finally:
        bench.executor.stop()
    said = [each.getMessage() for each in caplog.records if "while they are loaded" in each.message]
    assert len(said) == 1
    assert "(restless)" in said[0]
