"""How long a process needs until it can do something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.harness import Figure, Subject, make_project, measure, process

if TYPE_CHECKING:
    from pathlib import Path

START: Final = "from manager import Manager; Manager('config.json').start()"


def run(folder: Path, turns: int = 9) -> list[Figure]:
    """Measure imports, the help, and the start and end of a container with one task."""
    make_project(folder, 1)
    bare = "python -c pass"
    commands = {
        "import manager": ("-c", "import manager"),
        "from manager import Manager": ("-c", "from manager import Manager"),
        "taskrack --help": ("-m", "manager", "--help"),
        "taskrack list --json of 1 task": ("-m", "manager", "list", "--json"),
        "a container with 1 task, start to exit": ("-c", START),
    }
    floor = Subject(f"{bare} (startup)", process("-c", "pass", folder=folder))
    process("-c", START, folder=folder)()
    subjects = [
        Subject(name, process(*command, folder=folder), floor=floor.name)
        for name, command in commands.items()
    ]
    return measure([floor, *subjects], turns)
