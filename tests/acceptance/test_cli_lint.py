"""``taskrack lint``: what it prints, and what its exit codes mean."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from manager.lint import RULES
from tests.commandline import CommandLine

ROOT: Final = Path(__file__).parents[2]
PLUGIN: Final = """
    import time

    def work(limit=1):
        return limit

    async def block():
        time.sleep(1)

    def define(task_id, **more):
        base = {"id": task_id, "func": work, "trigger": "interval", "trigger_args": {"hours": 1}}
        return base | more

    TASK_DEFINITIONS = [
        define("sound"),
        define("noted", trigger_args={"minutes": 4}, timeout=300),
        define("warned", timeout=None, args=[2]),
        define("wrong", func=block),
    ]
"""
PLACE: Final = "backgroundtask/taskplugins.py, TASK_DEFINITIONS"
KEYS: Final = ["code", "severity", "title", "task_id", "source", "what", "why", "advice"]


@pytest.fixture
def command(tmp_path: Path) -> CommandLine:
    """Give a project with a note, a warning and an error."""
    made = CommandLine(tmp_path)
    made.plugin(PLUGIN)
    return made


def test_a_finding_is_a_line_and_the_last_line_counts_them(command: CommandLine) -> None:
    """Where, what, why and what to do; nothing is written, and no ledger is made."""
    done = command.call("lint")

    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        (
            f"{PLACE}[1]: TR202 note: task 'noted' may run for "
            "5 min, and is due again after 4 min. A run that takes that long makes the next "
            "occurrences skipped. Give it a timeout below its period; if skipping is meant, ignore "
            "this rule."
        ),
        (
            f"{PLACE}[2]: TR303 warning: task 'warned' is a "
            "plain function with timeout None. A call that hangs keeps its thread of the pool for "
            "good. Give it a timeout."
        ),
        (
            f"{PLACE}[3]: TR305 error: task 'wrong' is 'async "
            "def' and calls time.sleep() in line 8. While it blocks, every coroutine task of "
            "the container stands still. Use await asyncio.sleep(); or make it a plain 'def', "
            "which runs in a thread."
        ),
        "4 tasks: 1 error, 1 warning, 1 note",
    ]
    assert not (command.root / "ledger.db").exists()


def test_for_programs_it_is_an_object_with_stable_keys(command: CommandLine) -> None:
    done = command.call("lint", "--json")

    assert (done.code, done.err) == (1, "")
    assert list(done.json) == ["ok", "tasks", "findings", "plugins"]
    assert (done.json["ok"], done.json["tasks"]) == (False, 4)
    assert [list(each) for each in done.json["findings"]] == [KEYS] * 3
    assert [each["code"] for each in done.json["findings"]] == ["TR202", "TR303", "TR305"]


@pytest.mark.parametrize(
    ("words", "code", "last"),
    [
        ("--ignore TR303,TR305", 0, "4 tasks: 1 note"),
        ("--ignore TR3", 0, "4 tasks: 1 note"),
        ("--ignore TR3 --strict", 1, "4 tasks: 1 note"),
        ("--ignore TR3 --ignore TR202:noted --strict", 0, "4 tasks: nothing found"),
        ("--ignore TR3:warned", 1, "4 tasks: 1 error, 1 note"),
        ("--select TR1", 0, "4 tasks: nothing found"),
        ("--select TR303 --select TR305 --ignore TR305", 1, "4 tasks: 1 warning"),
    ],
)
def test_the_exit_code_is_one_for_a_warning_or_an_error(
    words: str, code: int, last: str, command: CommandLine
) -> None:
    """A note alone is in order, unless it is strict; what is ignored does not count."""
    done = command.call("lint", *words.split())

    assert (done.code, done.out.splitlines()[-1]) == (code, last)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--select TR999", "no rule has the code 'TR999'"),
        ("--ignore TR303:warnd", "no task has the id 'warnd', did you mean 'warned'?"),
    ],
    ids=["code", "task"],
)
def test_what_no_rule_and_no_task_is_called_is_a_wrong_call(
    words: str, said: str, command: CommandLine
) -> None:
    done = command.call("lint", *words.split())

    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_plugin_that_does_not_load_is_not_in_order(command: CommandLine) -> None:
    """Its fault is told as check tells it, and the other tasks are looked over."""
    command.plugin("import nowhere\n", "backgroundtask/other/taskplugins.py")

    done = command.call("lint", "--ignore", "TR")

    assert done.code == 1
    assert "ModuleNotFoundError: No module named 'nowhere'" in done.err
    assert done.out.splitlines() == ["4 tasks: nothing found"]


def test_the_shipped_tasks_and_a_new_project_are_clean(tmp_path: Path) -> None:
    """Not even a note."""
    parent = CommandLine(tmp_path)
    assert parent.call("init", "new").code == 0

    for folder in (ROOT, tmp_path / "new"):
        done = CommandLine(folder, made=True).call("lint", "--strict")
        assert (done.code, done.err) == (0, "")
        assert done.out.endswith(": nothing found\n")


def test_every_code_may_be_selected(command: CommandLine) -> None:
    words = [word for rule in RULES for word in ("--select", rule.code)]

    assert command.call("lint", *words).out == command.call("lint").out
