"""Where a task runs: what its definition, its plugin and the container say, and what cannot be."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import pytest

from core.definition import TaskDefinition
from core.errors import DefinitionError
from core.isolation import UNLIMITED, Isolation, ResourceLimits, imported, stands_for
from manager.task.drafting import Drafter
from manager.task.isolating import IsolationRule
from tests import isolated_tasks as tasks

BASE: Final[dict[str, Any]] = {"id": "a", "trigger": "interval", "trigger_args": {"hours": 1}}
EVERYWHERE: Final = IsolationRule(everywhere=True)
OF_ACME: Final = IsolationRule(plugins=frozenset({"acme"}))


def drafted(
    func: object,
    rule: IsolationRule | None = None,
    *,
    called: bool = False,
    **more: Any,  # noqa: ANN401 - keys
) -> TaskDefinition:
    drafter = Drafter(isolation=rule or IsolationRule())
    data = {**BASE, "func": func, **more}
    return drafter.draft(data, plugin="acme", source="here", called=called)[0]


def problem(func: object, rule: IsolationRule | None = None, **more: Any) -> str:  # noqa: ANN401 - keys
    with pytest.raises(DefinitionError) as caught:
        drafted(func, rule, **more)
    return str(caught.value)


@pytest.mark.parametrize(
    ("func", "written", "rule", "lane"),
    [
        (tasks.gives, None, IsolationRule(), "thread"),
        (tasks.gives_later, None, IsolationRule(), "loop"),
        (tasks.gives, "process", IsolationRule(), "process"),
        (tasks.gives_later, "process", IsolationRule(), "process"),
        (tasks.gives, None, EVERYWHERE, "process"),
        (tasks.gives, None, OF_ACME, "process"),
        (tasks.gives, "thread", EVERYWHERE, "thread"),
        (tasks.gives_later, "loop", OF_ACME, "loop"),
        (tasks.gives, None, IsolationRule(plugins=frozenset({"other"})), "thread"),
    ],
)
def test_the_definition_wins_over_the_plugin_and_the_plugin_over_the_container(
    func: object, written: str | None, rule: IsolationRule, lane: str
) -> None:
    assert drafted(func, rule, isolation=written).lane == lane


def test_a_ready_made_definition_is_treated_alike() -> None:
    """What it says wins, and where it says nothing the rule holds."""
    ready = TaskDefinition(
        id="a", name="a", func=tasks.gives, trigger="interval", trigger_args={"hours": 1}
    )
    draft = Drafter(isolation=EVERYWHERE).draft
    assert draft(ready, plugin="acme", source="here")[0].lane == "process"
    wrong = TaskDefinition(
        id="a",
        name="a",
        func=tasks.gives,
        trigger="interval",
        trigger_args={"hours": 1},
        isolation=Isolation.LOOP,
    )
    with pytest.raises(DefinitionError, match="expected 'thread' or 'process'"):
        draft(wrong, plugin="acme", source="here")


@pytest.mark.parametrize(
    ("func", "isolation", "text"),
    [
        (
            tasks.gives,
            "loop",
            "isolation: expected 'thread' or 'process' for a function with 'def', got 'loop'",
        ),
        (
            tasks.gives_later,
            "thread",
            "isolation: expected 'loop' or 'process' for a function with 'async def', got 'thread'",
        ),
        (
            tasks.gives,
            "proces",
            (
                "isolation: expected 'thread' for 'def', 'loop' for 'async def', 'process' for "
                "both, or None, got 'proces'"
            ),
        ),
    ],
)
def test_a_wrong_combination_is_refused_in_words(func: object, isolation: str, text: str) -> None:
    assert text in problem(func, isolation=isolation)


def a_local() -> object:
    def inside() -> None: ...

    return inside


@pytest.mark.parametrize(
    ("func", "what"),
    [
        (lambda: None, "got a lambda"),
        (a_local(), "got one that is defined inside a function"),
        (partial(tasks.gives, 3), "got a partial, a method of an object"),
        (tasks.Caller().method, "got a partial, a method of an object"),
    ],
    ids=["lambda", "local", "partial", "method"],
)
def test_a_call_with_a_function_that_no_process_can_import_is_refused(
    func: object, what: str
) -> None:
    """The fix is in the message, also where the container's rule asks for isolation."""
    fix = (
        "move it to the top level of a module, list it in TASK_DEFINITIONS of a plugin file, or "
        "give the task isolation 'thread'"
    )
    for rule, written in ((None, "process"), (EVERYWHERE, None)):
        said = problem(func, rule, called=True, isolation=written)
        assert what in said
        assert fix in said
    assert drafted(func, EVERYWHERE, called=True, isolation="thread").lane == "thread"


def test_what_a_plugin_file_lists_is_found_again_whatever_it_is() -> None:
    """By the task's id: a partial or a lambda has no name to import."""
    assert drafted(partial(tasks.gives, 3), isolation="process").lane == "process"
    assert drafted(lambda: None, isolation="process").lane == "process"


def test_limits_are_checked_key_by_key() -> None:
    assert drafted(tasks.gives).limits == UNLIMITED
    limits = drafted(tasks.gives, limits={"memory_mb": 64, "cpu_seconds": 2}).limits
    assert limits == ResourceLimits(memory_mb=64, cpu_seconds=2)
    text = problem(tasks.gives, limits={"memory_mb": 1, "cpu_seconds": 0, "memory": 5})
    assert "limits.memory_mb: expected a whole number of megabytes from 16 to 1048576" in text
    assert "limits.cpu_seconds: expected a number of seconds above 0" in text
    assert "limits.memory: unknown key, did you mean 'memory_mb'?" in text


def test_a_definition_s_limits_lie_over_the_container_s() -> None:
    own, defaults = ResourceLimits(memory_mb=64), ResourceLimits(memory_mb=512, cpu_seconds=9)
    assert own.over(defaults) == ResourceLimits(memory_mb=64, cpu_seconds=9)


def test_another_isolation_is_another_definition() -> None:
    """The fingerprint tells, so that a change is noticed."""
    prints = {
        drafted(tasks.gives).fingerprint,
        drafted(tasks.gives, isolation="process").fingerprint,
        drafted(tasks.gives, isolation="process", limits={"memory_mb": 64}).fingerprint,
    }
    assert len(prints) == 3


def test_a_name_stands_for_a_function_only_if_it_leads_to_it() -> None:
    assert stands_for("tests.isolated_tasks:gives", tasks.gives)
    assert not stands_for("tests.isolated_tasks:gives", tasks.raises)
    assert not stands_for("tests.isolated_tasks:no_such", tasks.gives)
    assert not stands_for("no.such.module:gives", tasks.gives)
    assert imported("tests.isolated_tasks:gives") is tasks.gives
    with pytest.raises(ImportError, match="has no 'no_such'"):
        imported("tests.isolated_tasks:no_such")
