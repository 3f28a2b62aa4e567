"""Definitions, the registry, and the texts of the errors."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest

from core import errors
from core.definition import TaskDefinition, is_coroutine_function, path_of
from core.errors import (
    ConfigurationError,
    DefinitionError,
    DuplicateTaskError,
    LedgerError,
    NotCallableError,
    PluginError,
    Problem,
    StateError,
    TaskLimitError,
    TaskrackError,
    TriggerError,
    UnknownRunError,
    UnknownTaskError,
)
from core.policy import RetryPolicy
from core.registry import Registry, nearest

if TYPE_CHECKING:
    from collections.abc import Callable


def plain() -> None: ...


async def waits() -> None: ...


class Plain:
    def __call__(self) -> None: ...

    def method(self) -> None: ...

    async def later(self) -> None: ...


class Waits:
    async def __call__(self) -> None: ...


@wraps(waits)
def wrapped() -> object:
    return waits()


def definition(task_id: str = "a", func: Callable[..., Any] = plain, **more: Any) -> TaskDefinition:  # noqa: ANN401 - columns
    """Return a definition as a plugin's module writes it."""
    known: dict[str, Any] = {"trigger": "interval", "trigger_args": {"hours": 1}}
    known |= {"name": task_id, "source": "tasks.py, TASK_DEFINITIONS[0]"}
    return TaskDefinition(id=task_id, func=func, **known | more)


def call(task_id: str = "a", func: Callable[..., Any] = plain, **options: Any) -> TaskDefinition:  # noqa: ANN401 - columns
    """Return a definition as a call of ``add_task`` gives it."""
    more = {"called": True, "source": "add_task('a') in app.py:1", "given": frozenset(options)}
    return definition(task_id, func, **options | more)


@pytest.mark.parametrize(
    ("func", "path", "lane"),
    [
        (plain, "plain", "thread"),
        (waits, "waits", "loop"),
        (partial(partial(waits)), "waits", "loop"),
        (Plain(), "Plain", "thread"),
        (Waits(), "Waits", "loop"),
        (partial(Waits()), "Waits", "loop"),
        (Plain().method, "Plain.method", "thread"),
        (Plain().later, "Plain.later", "loop"),
        (Waits, "Waits", "thread"),
        (wrapped, "waits", "thread"),
    ],
)
def test_a_function_is_labelled_and_assigned_by_what_it_is(
    func: Callable[..., Any], path: str, lane: str
) -> None:
    """Through partials and callable objects; a class is called, not awaited."""
    assert path_of(func) == f"{__name__}:{path}"
    assert definition(func=func).lane == lane
    assert is_coroutine_function(func) is (lane == "loop")


def test_a_fingerprint_changes_with_what_was_written() -> None:
    """And with nothing else."""
    assert definition().fingerprint == definition(source="elsewhere", plugin="p").fingerprint
    changes: list[dict[str, Any]] = [
        {"func": waits}, {"timeout": None}, {"retry": RetryPolicy(jitter=False)},
        {"trigger_args": {"hours": 2}}, {"tags": ("x",)},
    ]  # fmt: skip
    prints = {definition(**change).fingerprint for change in changes}
    assert len(prints | {definition().fingerprint}) == len(changes) + 1


def test_the_same_definition_again_is_no_error() -> None:
    """The later one holds, as after a reload."""
    registry = Registry(5)
    registry.add(definition())
    assert registry.add(definition(max_retries=9)).max_retries == 9
    assert registry.ids() == ["a"]


@pytest.mark.parametrize("module_first", [True, False])
def test_a_call_for_the_same_function_supplies_what_it_wrote(*, module_first: bool) -> None:
    """In either order the module's name and enabled hold, and the call's retries."""
    module = definition(name="Sync", enabled=False, max_retries=3)
    called = call(max_retries=5)
    registry = Registry(5)
    for each in (module, called) if module_first else (called, module):
        registry.add(each)
    task = registry.require("a")
    assert (task.name, task.enabled, task.max_retries) == ("Sync", False, 5)
    assert task.source == module.source


def test_another_function_under_a_known_id_names_both_places() -> None:
    """The first stays; the text says what to do."""
    registry = Registry(5)
    registry.add(definition())
    with pytest.raises(DuplicateTaskError) as caught:
        registry.add(definition(func=waits, source="other.py, TASK_DEFINITIONS[3]"))
    assert str(caught.value) == (
        "task id 'a' is defined twice: first in tasks.py, TASK_DEFINITIONS[0], again in "
        "other.py, TASK_DEFINITIONS[3]. Ids are unique across plugins; rename one of them."
    )
    assert registry.require("a").func is plain


def test_replacing_is_opted_into() -> None:
    """Then the later one holds whole."""
    registry = Registry(1)
    registry.add(definition(max_retries=9))
    registry.add(definition(func=waits), replace_existing=True)
    assert (registry.require("a").func, registry.require("a").max_retries) == (waits, 3)


def test_one_task_too_many_is_refused_and_the_others_stay() -> None:
    """A known id is no additional one; a removed one makes room."""
    registry = Registry(2)
    registry.add(definition("a"))
    registry.add(definition("b", enabled=False))
    registry.add(definition("a"))
    with pytest.raises(TaskLimitError) as caught:
        registry.add(definition("c"))
    assert str(caught.value) == (
        "task 'c' would be number 3, but manager.max_tasks is 2. "
        "Raise it in config.json, or remove a task; the other tasks are kept."
    )
    registry.remove("a")
    registry.remove("never there")
    registry.add(definition("c"))
    assert registry.ids() == ["b", "c"]


def test_an_unknown_task_is_told_with_its_neighbour() -> None:
    """Where there is one near enough."""
    registry = Registry(5)
    registry.add(definition("sync_data"))
    with pytest.raises(UnknownTaskError) as caught:
        registry.require("sync_date")
    assert str(caught.value) == (
        "no task has the id 'sync_date', did you mean 'sync_data'? See 'taskrack list'."
    )
    with pytest.raises(UnknownTaskError) as caught:
        registry.require("other")
    assert str(caught.value) == "no task has the id 'other'. See 'taskrack list'."
    assert nearest("x", []) is None


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            ConfigurationError("config.json", [Problem("a.b", "x"), Problem("", "y")]),
            ValueError,
            "config.json has 2 problems:\n  a.b: x\n  y",
        ),
        (
            ConfigurationError("config.json", [Problem("a", "x")]),
            ValueError,
            "config.json has 1 problem:\n  a: x",
        ),
        (DefinitionError("t.py", [Problem("id", "x")]), ValueError, "t.py: id: x"),
        (NotCallableError("t.py", [Problem("func", "x")]), TypeError, "t.py: func: x"),
        (TriggerError("cron", [Problem("a", "x"), Problem("b", "y")]), ValueError, "a: x; b: y"),
        (UnknownRunError("r"), LookupError, "no run has the id 'r'. See 'taskrack runs'."),
        (StateError("no"), RuntimeError, "no"),
        (PluginError("p.py", "broke", "Mend it", 7), RuntimeError, "p.py, line 7: broke. Mend it"),
        (PluginError("p", "broke", "Mend it"), RuntimeError, "p: broke. Mend it"),
        (LedgerError("sqlite://", "full"), RuntimeError, "database sqlite://: full"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_says_where_and_what(error: Exception, kind: type[Exception], text: str) -> None:
    """And is of the builtin kind that a caller expects."""
    assert str(error) == text
    assert isinstance(error, TaskrackError)
    assert isinstance(error, kind)


def test_every_error_has_the_one_base() -> None:
    """Whoever catches it catches all that is raised on purpose."""
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    kinds = [each for each in found if issubclass(each, BaseException)]
    assert len(kinds) > 10
    assert all(issubclass(each, TaskrackError) for each in kinds)
