"""What is read of tasks is shared between looks, so nobody can change it in place."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from manager.schemas.reading import ReadOnly
from tests.tools import fire, task_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tools import Project

PLUGIN = """
    def one():
        pass

    TASK_DEFINITIONS = [
        {"id": name, "func": one, "trigger": "interval", "trigger_args": {"hours": 1}}
        for name in ("first", "second")
    ]
"""
CHANGES: dict[str, Callable[[ReadOnly], object]] = {
    "item": lambda each: each.__setitem__("a", 2),
    "delete": lambda each: each.__delitem__("a"),
    "or": lambda each: each.__ior__({"b": 2}),
    "clear": lambda each: each.clear(),
    "pop": lambda each: each.pop("a"),
    "popitem": lambda each: each.popitem(),
    "setdefault": lambda each: each.setdefault("b", 2),
    "update": lambda each: each.update(b=2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_read_only_dict_refuses_every_change(name: str) -> None:
    each = ReadOnly(a=1)

    with pytest.raises(TypeError, match="take a copy"):
        CHANGES[name](each)

    assert each == {"a": 1}


def test_a_copy_of_a_read_only_dict_can_be_changed() -> None:
    each = ReadOnly(a=1)

    assert {type(each.copy()), type(dict(each)), type(each | {"b": 2})} == {dict}
    assert pickle.loads(pickle.dumps(each)) == copy.deepcopy(each) == each  # noqa: S301 - our own


def test_a_second_look_gives_what_did_not_change_again(project: Project) -> None:
    """And makes anew what did: a run, a pause, an edited definition."""
    project.plugin(PLUGIN)
    tasks = project.start()
    before = {task.id: task for task in tasks.list_tasks()}

    fire(tasks, "first")
    tasks.pause_task("second")
    after = {task.id: task for task in tasks.list_tasks()}

    assert before["first"].completed == 0
    assert after["first"].completed == 1
    assert (before["second"].paused, after["second"].paused) == (False, True)
    tasks.resume_task("second")
    tasks.update_task("second", trigger_args={"hours": 2})
    assert task_of(tasks, "second").trigger_args == {"hours": 2}
    assert [task.trigger_args for task in tasks.list_tasks()] == [{"hours": 1}, {"hours": 2}]
    again = tasks.list_tasks()
    assert all(one is two for one, two in zip(again, tasks.list_tasks(), strict=True))
