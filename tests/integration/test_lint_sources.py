"""Blocking calls in the source of coroutine functions: found by what a name stands for."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from manager.lint.blocking import blocking_calls
from tests.linting import findings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

MODULE = """\
import asyncio
import subprocess as processes
import time
import urllib.request
from functools import wraps
from os import system
from time import sleep as nap


class Client:
    def sleep(self, seconds):
        return seconds


clock = Client()


async def plainly():
    time.sleep(1)


async def renamed():
    nap(1)
    if system("true"):
        return processes.run(["true"])


async def imported_inside():
    import time as clock
    from urllib.request import urlopen

    clock.sleep(1)
    return [urlopen(each) for each in ()]


async def awaited_beside():
    await asyncio.to_thread(time.sleep, 1)
    await asyncio.sleep(1)
    urllib.request.Request("http://localhost")
    clock.sleep(1)


async def shadowed(time, input):
    time.sleep(1)
    input()


async def inside_another():
    def work():
        time.sleep(1)

    later = lambda: time.sleep(1)
    await asyncio.to_thread(work)
    return later


def marked(func):
    @wraps(func)
    async def outer():
        return await func()

    return outer


@marked
async def decorated():
    input("name? ")


def ordinary():
    time.sleep(1)


class Callable:
    async def __call__(self):
        time.sleep(1)

    async def method(self):
        time.sleep(1)
"""


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    """Give the module, loaded from a file of its own."""
    file = tmp_path / "sources.py"
    file.write_text(MODULE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("lint_sources", file)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def found(func: Callable[..., Any]) -> list[str]:
    """Return the calls that are found, each with the text of its line."""
    lines = MODULE.splitlines()
    return [f"{each.name} in {lines[each.line - 1].strip()}" for each in blocking_calls(func)]


def test_a_blocking_call_is_found_by_what_its_name_stands_for(module: ModuleType) -> None:
    """Imported as a module, by another name, or inside the function; with the right line."""
    assert found(module.plainly) == ["time.sleep in time.sleep(1)"]
    assert found(module.renamed) == [
        "time.sleep in nap(1)",
        'os.system in if system("true"):',
        'subprocess.run in return processes.run(["true"])',
    ]
    assert found(module.imported_inside) == [
        "time.sleep in clock.sleep(1)",
        "urllib.request.urlopen in return [urlopen(each) for each in ()]",
    ]


def test_the_function_inside_partials_decorators_and_objects_is_looked_at(
    module: ModuleType,
) -> None:
    assert found(module.decorated) == ['input in input("name? ")']
    assert found(functools.partial(module.plainly)) == ["time.sleep in time.sleep(1)"]
    assert found(module.Callable()) == found(module.Callable().method) == found(module.plainly)


@pytest.mark.parametrize("name", ["awaited_beside", "shadowed", "inside_another", "ordinary"])
def test_what_does_not_block_the_loop_is_left_alone(name: str, module: ModuleType) -> None:
    """A call in a thread, a name that stands for something else, a function inside, a ``def``."""
    assert found(getattr(module, name)) == []


def test_a_function_without_source_has_nothing_to_find() -> None:
    """Made at run time, built in, or of an extension."""
    space: dict[str, Any] = {}
    exec("import time\nasync def made(): time.sleep(1)", space)  # noqa: S102 - what has no source
    assert blocking_calls(space["made"]) == []
    assert blocking_calls(len) == []
    assert blocking_calls(asyncio.sleep) == []


def test_the_rule_names_the_call_its_line_and_what_to_use(module: ModuleType) -> None:
    """As an error; the same body in a plain function is none."""
    (finding,) = findings({"func": module.plainly}, {"func": module.ordinary}, select="TR305")
    assert finding.what == "is 'async def' and calls time.sleep() in line 19"
    assert finding.advice == (
        "Use await asyncio.sleep(); or make it a plain 'def', which runs in a thread."
    )
    assert (finding.severity, finding.task_id) == ("error", "t0")
