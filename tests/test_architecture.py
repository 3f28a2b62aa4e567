"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "configurations", "loggers", "manager", "backgroundtask")
FILE_LINES = 300
FUNCTION_LINES = 50
PUBLIC_METHODS = 12
PRESCRIBED = {
    # the documented verbs of the task manager
    "TaskManager": {
        "add_task", "remove_task", "pause_task", "resume_task", "get_task", "list_tasks",
        "start", "shutdown",
    },
    # the port of the ledger is as wide as the life of a run
    "Ledger": {"open", "close", "join", "beat", "leave", "suspects", "bury"},
    "SqlLedger": {
        "open", "close", "join", "beat", "leave", "suspects", "bury", "bind", "stored",
        "changed_since", "to_cancel", "waiting", "transact", "tokens",
    },
    # the port that hears of runs has one verb for each thing that can be heard
    "PluginHost": {"started", "retrying", "finished", "dropped", "quarantined"},
}  # fmt: skip
BANNED_WORDS = ("helper", "util", "common", "misc", "do_", "handle_", "_async")
FOREIGN_NAMES = {"_do_submit_job"}  # what a library's base class calls
BROAD_EXCEPT = {
    # a task's call, and what a task's own objects raise when they are shown
    "manager/executors/threads.py", "manager/executors/taskloop.py", "manager/engine/results.py",
    "manager/executors/daemons.py", "manager/testing/loops.py",
    "manager/executors/children/worker.py", "manager/executors/children/footprint.py",
    # a hook's call
    "manager/plugins/host.py",
    # a plugin's import
    "manager/plugins/loading.py", "manager/task/isolated.py",
    # a plugin's trigger
    "manager/scheduling/plugged.py",
    # it is raised again, where the call was asked for
    "manager/storage/limits.py",
    # the top of the engine's thread
    "manager/engine/serving.py",
    # the top of a child process
    "manager/executors/children/forking.py",
    # register_tasks goes on after a task that does not register, as documented
    "backgroundtask/taskplugins.py",
}  # fmt: skip
PUBLIC = {
    "core": [
        "CatchUp", "Cause", "Delivery", "Overlap", "Reason", "Run", "RunState", "TaskDefinition",
        "TaskState", "TaskrackError", "hookimpl",
    ],
    "configurations": [
        "BaseConfig", "DatabaseConfig", "LoggersConfig", "ManagerConfig", "Setting", "Xcorecfg",
        "find_config", "json_schema", "load_config", "masked_url",
    ],
    "loggers": [
        "Logger", "current_log_context", "get_logger", "is_configured_by_application",
        "log_context", "set_level", "setup_logging", "teardown_logging",
    ],
    "manager": ["Manager", "RunContext", "current_run", "set_default_manager"],
    "manager.testing": ["Lab", "LabNode", "VirtualClock"],
    "manager.schemas.taskManager": ["RunRead", "TaskCreate", "TaskRead", "TaskUpdate"],
}  # fmt: skip


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax tree of every source file, by its path."""
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in files
        if "migrations/versions" not in path.as_posix()
    }


def test_no_file_holds_two_concepts() -> None:
    """A file beyond its budget wants to be two."""
    sizes = {path: (ROOT / path).read_text(encoding="utf-8").count("\n") for path in trees()}
    assert {path: size for path, size in sizes.items() if size > FILE_LINES} == {}


def test_no_function_is_too_long_to_be_read_at_once() -> None:
    """A function beyond its budget wants to be two; its docstring does not count."""
    long = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                start = (
                    node.body[1].lineno
                    if ast.get_docstring(node) and node.body[1:]
                    else node.lineno
                )
                size = (node.end_lineno or node.lineno) - start
                if size > FUNCTION_LINES:
                    long.append(f"{path}:{node.lineno} {node.name} ({size} lines)")
    assert long == []


def test_no_class_does_everything() -> None:
    """A class has at most twelve public methods beside those that a document prescribes."""
    wide = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                methods = {
                    each.name
                    for each in node.body
                    if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                    and not each.name.startswith("_")
                    and not any(ast.unparse(mark) == "property" for mark in each.decorator_list)
                }
                own = methods - PRESCRIBED.get(node.name, set())
                if len(own) > PUBLIC_METHODS:
                    wide.append(f"{path}: {node.name} has {sorted(own)}")
    assert wide == []


def test_names_are_the_words_of_the_field() -> None:
    """No file, class or function is called by what it is not."""
    found = []
    for path, tree in trees().items():
        names = [path] + [
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        found += [
            f"{path}: {name}"
            for name in names
            for word in BANNED_WORDS
            if word in name.lower() and name not in FOREIGN_NAMES
        ]
    assert found == []


def test_a_broad_except_stands_in_few_places_only() -> None:
    """Around what belongs to a task or a plugin, and on top of the engine's thread."""
    found = set()
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                caught = "" if node.type is None else ast.unparse(node.type)
                raises = any(isinstance(each, ast.Raise) and each.exc is None for each in node.body)
                if caught in {"", "Exception", "BaseException"} and not raises:
                    found.add(path)
    assert found <= BROAD_EXCEPT


def test_every_room_of_the_public_house_is_as_listed() -> None:
    """What a package makes public changes here first, on purpose."""
    for name, expected in PUBLIC.items():
        module = __import__(name, fromlist=["__all__"])
        assert list(module.__all__) == sorted(expected, key=_case), name
        for each in module.__all__:
            assert getattr(module, each) is not None


def _case(name: str) -> tuple[bool, str]:
    return not name[0].isupper(), name


def test_each_word_has_one_class() -> None:
    """Two classes of one name would be two meanings of one word."""
    homes: dict[str, list[str]] = {}
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_starts_nothing(package: str, tmp_path: Path) -> None:
    """No thread, no file, no log line and no output come of an import."""
    code = (
        "import json, logging, sys, threading, pathlib\n"
        f"import {package}\n"
        f"[getattr({package}, name) for name in getattr({package}, '__all__', ())]\n"
        "print(json.dumps({'threads': threading.active_count(),"
        " 'files': [str(each) for each in pathlib.Path('.').iterdir()],"
        " 'handlers': len(logging.getLogger().handlers)}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"threads": 1, "files": [], "handlers": 0}
    assert done.stderr == ""


def test_every_package_says_that_it_is_typed() -> None:
    """Type checkers read our annotations."""
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)


def test_no_machine_leaves_its_mark() -> None:
    """No absolute path of a machine and no address of a registry is in a tracked file."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    marks = ("/home/" + "user", "/root/" + ".pyenv", "/opt/" + "pypi", "/work/" + "main")
    found = []
    for name in listed:
        path = ROOT / name
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".json", ".html", ""}:
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {mark}" for mark in marks if mark in text]
    assert found == []
