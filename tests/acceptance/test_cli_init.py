"""``taskrack init``: a project that works from the first minute."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.commandline import CommandLine
from tests.tools import eventually

if TYPE_CHECKING:
    from pathlib import Path


def test_a_new_project_passes_its_check_runs_its_task_and_its_own_tests(tmp_path: Path) -> None:
    """Everything that ``init`` writes is used: the settings, the plugin, the test."""
    parent = CommandLine(tmp_path)

    done = parent.call("init", "new")

    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("\nnext: cd new && taskrack run\n")
    project = CommandLine(tmp_path / "new", made=True)
    check = project.call("check")
    assert (check.code, check.err) == (0, "")
    with project.run() as container:
        eventually(lambda: any("greet: completed" in line for line in container.err))
        assert container.end() == 0
    own = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert own.returncode == 0, own.stdout
    assert "1 passed" in own.stdout


def test_init_in_the_current_folder_sends_nobody_elsewhere(tmp_path: Path) -> None:
    """Its last line can be pasted as it is."""
    done = CommandLine(tmp_path, made=True).call("init", ".")
    assert (done.code, done.out.splitlines()[-1]) == (0, "next: taskrack run")


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    """One file that is there already is enough: none is written, and the file is named."""
    command = CommandLine(tmp_path)
    plugin = command.write("new/backgroundtask/taskplugins.py", "mine = 1\n")

    done = command.call("init", "new")

    assert (done.code, done.out) == (1, "")
    assert done.complaints == [
        "taskrack: nothing was written: new/backgroundtask/taskplugins.py exists already"
    ]
    assert plugin.read_text(encoding="utf-8") == "mine = 1\n"
    assert not (tmp_path / "new" / "config.json").exists()


def test_init_into_a_file_says_what_is_in_the_way(tmp_path: Path) -> None:
    """One line, exit code 1."""
    command = CommandLine(tmp_path)
    command.write("new", "a file")

    done = command.call("init", "new")

    assert (done.code, len(done.complaints)) == (1, 1)
    assert "Traceback" not in done.err
