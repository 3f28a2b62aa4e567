"""Broken plugins of every kind: the good one beside them runs, and each fault is recorded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from core.clock import SystemClock
from core.run import RunState
from manager.container import plugins_of
from manager.task.inspection import Inspection, inspect
from tests.fuzzing import patient
from tests.tools import finals

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools import Project

GOOD: Final = """
    def good():
        return "ran"

    TASK_DEFINITIONS = [
        {"id": "good", "func": good, "trigger": "interval", "trigger_args": {"hours": 1},
         "run_on_start": True}
    ]
"""
FILE: Final = "backgroundtask/broken/taskplugins.py"
BROKEN: Final[dict[str, tuple[str, int | None, str]]] = {
    "raises": ("x = 1\nraise ValueError('no')\n", 2, "ValueError: no"),
    "raises below": ("def f():\n    1 / 0\n\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
    "exits": ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
    "is interrupted": ("raise KeyboardInterrupt\n", 1, "KeyboardInterrupt"),
    "raises a base exception": (
        "class Odd(BaseException):\n    pass\n\n\nraise Odd('odd')\n",
        5,
        "Odd: odd",
    ),
    "raises what cannot be shown": (
        "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\n\nraise Odd\n",
        5,
        "Odd: (its message raised ValueError)",
    ),
    "raises a surrogate": ("raise ValueError('\\ud800')\n", 1, "ValueError: \\ud800"),
    "raises an odd syntax error": ("raise SyntaxError(5, (1, 2, 3, 4))\n", 1, "SyntaxError"),
    "has a syntax error": ("x = 1\ndef f(:\n", 2, "SyntaxError: "),
    "is indented wrongly": ("x = 1\n  y = 2\n", 2, "IndentationError: unexpected indent"),
    "imports nothing": ("import nothing_of_the_kind\n", 1, "ModuleNotFoundError: No module named"),
    "imports a missing name": ("from json import nothing\n", 1, "ImportError: cannot import name"),
    "imports itself": (
        "from backgroundtask.broken.taskplugins import later\nlater = 1\n",
        1,
        "ImportError: cannot import name 'later'",
    ),
    "recurses": ("def f():\n    return f()\n\n\nf()\n", 2, "RecursionError: "),
    "nests too deeply": (f"x = {'(' * 500}1{')' * 500}\n", None, "SyntaxError: too many nested"),
    "holds null bytes": ("x = 1\x00\n", None, "null bytes"),
    "definitions are None": (
        "TASK_DEFINITIONS = None\n",
        None,
        "expected a list of dicts, got None",
    ),
    "definitions are a dict": (
        "TASK_DEFINITIONS = {}\n",
        None,
        "expected a list of dicts, got dict",
    ),
    "definitions are a text": (
        "TASK_DEFINITIONS = 'x'\n",
        None,
        "expected a list of dicts, got str",
    ),
    "definitions are a number": (
        "TASK_DEFINITIONS = 5\n",
        None,
        "expected a list of dicts, got int",
    ),
    "definitions are a class": (
        "TASK_DEFINITIONS = list\n",
        None,
        "expected a list of dicts, got type",
    ),
    "definitions raise": (
        "def each():\n    raise ValueError('late')\n    yield\n\n\nTASK_DEFINITIONS = each()\n",
        2,
        "ValueError: late",
    ),
    "definitions exit": (
        "def each():\n    raise SystemExit\n    yield\n\n\nTASK_DEFINITIONS = each()\n",
        2,
        "SystemExit",
    ),
    "definitions never end": (
        "import itertools\nTASK_DEFINITIONS = itertools.count()\n",
        None,
        "expected at most 1000000 definitions, got more",
    ),
    "definitions refuse everything": (
        "class L(list):\n  def __iter__(self):\n    raise ValueError\n\nTASK_DEFINITIONS = L()\n",
        3,
        "ValueError",
    ),
    "registration raises": (
        "def register_tasks(tasks):\n    raise ValueError('no')\n",
        2,
        "ValueError: no",
    ),
    "registration exits": (
        "import sys\n\n\ndef register_tasks(tasks):\n    sys.exit(1)\n",
        5,
        "SystemExit: 1",
    ),
    "registration takes nothing": ("def register_tasks():\n    pass\n", None, "TypeError: "),
    "registers nonsense": (
        "def register_tasks(tasks):\n    tasks.add_task(None, 'cron', 'x', hour=99)\n",
        2,
        "func: expected a function",
    ),
    "a hook takes other arguments": (
        "from core import hookimpl\n\n\n@hookimpl\ndef taskrack_run_started(walk):\n    pass\n",
        None,
        "'walk'",
    ),
    "a hook does not exist": (
        "from core import hookimpl\n\n\n@hookimpl\ndef taskrack_runs_started(run):\n    pass\n",
        None,
        "taskrack_runs_started",
    ),
    "a hook exits": (
        "from core import hookimpl\n\n\n@hookimpl\ndef taskrack_definitions():\n    exit(2)\n",
        6,
        "SystemExit: 2",
    ),
}
VALUES: Final = (
    *("None", "5", "'text'", "b'x'", "[]", "{}", "object()", "list", "...", "(1, 2)", "1j"),
    *("{1: 2}", "{None: None}", "{'id': None}", "{'id': 'x' * 10_000}", "{'id': '\\ud800'}"),
    *("{'id': 'a', 'func': None}", "{'id': 'a', 'func': f, 'trigger': f, 'trigger_args': f}"),
    *("{'id': 'a', 'func': f, 'trigger': 'cron', 'trigger_args': {'hour': 10 ** 5000}}",),
    *("{'id': 'a', 'func': f, 'trigger': 'cron', 'trigger_args': {'hour': float('nan')}}",),
    *("{'id': 'a', 'func': f, 'trigger': 'interval', 'trigger_args': {'hours': 10 ** 400}}",),
    *("{'id': 'a', 'func': f, 'trigger': 'interval', 'trigger_args': {'hours': Odd()}}",),
    *("{'id': Odd(), 'func': f, 'trigger': Odd(), 'trigger_args': Odd()}", "Odd()", "Odd"),
    *("{'id': Text('a'), 'func': f, 'trigger': Text('b'), 'trigger_args': {}}", "Text('x')"),
    *("{'id': 'a', 'func': f, 'trigger': 'date', 'trigger_args': {'run_date': deep}}", "deep"),
    *("(each for each in [1])", "lambda: 1", "f", "print", "{'\\ud800': 1}", "{'id' * 5_000: 1}"),
    *("{'id': 'a', 'func': f, 'trigger': 'cron', 'trigger_args': {}, 'retry': {'delay': Odd()}}",),
    *("{'id': 'a', 'func': f, 'trigger': 'cron', 'trigger_args': {}, 'kwargs': deep}",),
    *("{'id': 'a', 'func': f, 'trigger': 'cron', 'trigger_args': {}, 'timezone': Odd()}",),
    *("TaskDefinition(id=5, name=None, func=None, trigger=Odd(), trigger_args=None)",),
    *("TaskDefinition(id='a', name='a', func=f, trigger='cron', trigger_args={'hour': 99})",),
    *("TaskDefinition(id='a', name='a', func=f, trigger='date', trigger_args=5, timeout=5)",),
)
MODULE: Final = """
    from core import TaskDefinition

    class Odd:
        def _no(self, *_):
            raise RuntimeError("no")

        __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __getattr__ = _no

    class Text(str):
        def __repr__(self):
            raise RuntimeError("no")

        __str__ = __repr__

    def f():
        pass

    deep = {}
    for _ in range(5_000):
        deep = {"x": deep}
"""


def inspected(project: Project) -> Inspection:
    """Return what ``taskrack check`` finds, within a second or two of the processor."""
    manager = project.manager(default=False)
    with patient():
        return inspect(
            manager.config, plugins_of(manager.config), manager.task_manager, SystemClock()
        )


def check_good(found: Inspection) -> None:
    assert [definition.id for definition, _ in found.tasks] == ["good"]


@pytest.mark.item("X16")
@pytest.mark.item("X60")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_recorded_with_its_place_and_hurts_no_other(
    project: Project, kind: str
) -> None:
    """The file always, the line where there is one, the cause, and what to do."""
    text, line, cause = BROKEN[kind]
    project.plugin(GOOD)
    (project.root / FILE).parent.mkdir()
    (project.root / FILE).write_text(text, encoding="utf-8")

    found = inspected(project)

    check_good(found)
    (broken,) = [plugin for plugin in found.plugins if plugin.problems]
    problem = broken.problems[0]
    assert broken.source == problem.file == FILE
    assert cause in problem.cause
    assert line is None or problem.line == line
    assert problem.hint
    assert "\n" not in str(problem)


def test_files_that_cannot_be_read_as_python_are_recorded(project: Project) -> None:
    """Bytes of another encoding, a link to nowhere, a link to itself."""
    project.plugin(GOOD)
    folder = project.root / "backgroundtask"
    for name in ("latin", "nowhere", "itself", "empty", "folder/taskplugins.py"):
        (folder / name).mkdir(parents=True)
    (folder / "latin" / "taskplugins.py").write_bytes(b"x = 1\ny = '\xe4'\n")
    (folder / "nowhere" / "taskplugins.py").symlink_to("gone.py")
    (folder / "itself" / "taskplugins.py").symlink_to("taskplugins.py")
    (folder / "empty" / "taskplugins.py").touch()
    (folder / "loop").symlink_to(folder)
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")

    found = inspected(project)

    check_good(found)
    faults = {problem.file: problem for plugin in found.plugins for problem in plugin.problems}
    assert set(faults) == {
        f"backgroundtask/{name}/taskplugins.py" for name in ("latin", "nowhere", "itself")
    }
    assert "utf-8" in faults["backgroundtask/latin/taskplugins.py"].cause
    assert "FileNotFoundError" in faults["backgroundtask/nowhere/taskplugins.py"].cause


def test_plugins_that_import_each_other_in_a_circle_are_recorded(project: Project) -> None:
    """Whoever comes first fails, and says at which line."""
    project.plugin(GOOD)
    for name, other in (("one", "two"), ("two", "one")):
        line = f"from backgroundtask.{other}.taskplugins import {other}\n"
        project.plugin(f"{line}{name} = 1\n", f"backgroundtask/{name}/taskplugins.py")

    found = inspected(project)

    check_good(found)
    problems = [problem for plugin in found.plugins for problem in plugin.problems]
    assert {problem.file for problem in problems} == {
        "backgroundtask/one/taskplugins.py",
        "backgroundtask/two/taskplugins.py",
    }
    assert all("ImportError" in problem.cause and problem.line == 1 for problem in problems)


def test_a_folder_with_the_name_of_an_installed_package_is_refused(project: Project) -> None:
    """The installed package stays what it is; the message names both."""
    project.config(manager={"tasks_directory": "email"})
    project.plugin(GOOD, "email/taskplugins.py")
    import email  # noqa: PLC0415 - the package that is to stay

    found = inspected(project)

    (problem,) = found.plugins[0].problems
    assert problem.file == "email/taskplugins.py"
    assert "'email' already belongs to" in problem.cause
    assert os.fspath(str(email.__file__)) in problem.cause


@pytest.mark.parametrize("names", [["json.nothing"], ["."], ["..", ""], ["\x00"], ["nothing here"]])
def test_a_named_plugin_that_does_not_exist_is_recorded(project: Project, names: list[str]) -> None:
    """Whatever stands in ``plugins`` of config.json."""
    project.plugin(GOOD)
    project.config(plugins=[name for name in names if name])

    found = inspected(project)

    check_good(found)
    assert sum(len(plugin.problems) for plugin in found.plugins) == len([n for n in names if n])


@pytest.mark.item("X16")
def test_every_kind_of_wrong_definition_is_recorded_with_its_index(project: Project) -> None:
    """Between two good ones: both are registered, and each of the others has its problem."""
    project.plugin(GOOD)
    entry = "{'id': 'last', 'func': f, 'trigger': 'interval', 'trigger_args': {'hours': 1}}"
    lines = ",\n        ".join([*VALUES, entry])
    project.plugin(f"{MODULE}\n    TASK_DEFINITIONS = [\n        {lines}\n    ]\n", FILE)

    found = inspected(project)

    assert {definition.id for definition, _ in found.tasks} == {"good", "last"}
    (broken,) = [plugin for plugin in found.plugins if plugin.problems]
    assert broken.state == "faulty"
    assert {problem.index for problem in broken.problems} == set(range(len(VALUES)))
    for problem in broken.problems:
        assert problem.file == FILE
        assert str(problem).encode()
        assert len(str(problem)) < 1_000


def test_the_good_task_runs_in_a_container_with_all_the_broken_plugins(project: Project) -> None:
    """Each of them in a folder of its own, all at once, and the ledger keeps what is wrong."""
    project.plugin(GOOD)
    files = []
    for number, (text, _, _) in enumerate(BROKEN.values()):
        file: Path = project.root / f"backgroundtask/broken{number}/taskplugins.py"
        file.parent.mkdir()
        file.write_text(text.replace(".broken.", f".broken{number}."), encoding="utf-8")
        files.append(file.relative_to(project.root).as_posix())

    tasks = project.start()

    assert finals(tasks, "good")[0].state is RunState.COMPLETED
    stored = tasks.ledger.reading.plugins()
    assert {plugin.source for plugin in stored if plugin.problems} == set(files)
    assert stored == [
        plugin.model_copy(update={"loaded_at": each.loaded_at})
        for plugin, each in zip(
            sorted(tasks.list_plugins(), key=lambda plugin: plugin.name), stored, strict=True
        )
    ]
