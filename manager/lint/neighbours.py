"""Rules about tasks beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from manager.lint.findings import Remark, Rule, Severity
from manager.lint.project import wall_of
from manager.scheduling.numbers import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.lint.project import Project
    from manager.lint.subject import Subject

_MANY: Final = 3
_FEW_TIMES: Final = 4
_NAMED: Final = 3
_SIXTY: Final = 60


def twin(task: Subject, project: Project) -> Iterator[Remark]:
    """Find an earlier task with the same function, arguments and schedule."""
    given = task.definition
    for other in project.by_function.get(given.func_path, []):
        if other is task:
            return
        known = other.definition
        same = (known.func, known.args, known.kwargs) == (given.func, given.args, given.kwargs)
        if given.enabled and same and other.told == task.told:
            what = f"has the function, the arguments and the schedule of task {known.id!r}"
            yield Remark(what, "Take one of them out, or give it what makes it differ.")
            return


def same_letters(task: Subject, project: Project) -> Iterator[Remark]:
    """Find an earlier task whose id differs in case only."""
    first = project.by_folded_id[task.definition.id.casefold()][0]
    if first is not task:
        what = f"has the id of task {first.definition.id!r} but for upper and lower case"
        yield Remark(what, "Rename one of them.")


def other_zone(task: Subject, project: Project) -> Iterator[Remark]:
    """Find a task of another zone at the local time of several of the settings' zone."""
    usual, own = project.config.timezone, str(task.zone)
    if task.cron is None or own == usual or task.cron.pattern.times > _FEW_TIMES:
        return
    count = project.walls[wall_of(task)]
    if count >= _MANY:
        what = f"is due {task.told}, at the same local time as {count} tasks in {usual}"
        yield Remark(what, "If the same instant is meant, drop its timezone.")


def herd(task: Subject, project: Project) -> Iterator[Remark]:
    """Find more tasks due at one instant than there are threads."""
    instant, together = project.herd
    threads = project.config.manager.scheduler_thread_pool
    if instant is None or len(together) <= threads or together[0] is not task:
        return
    names = [repr(each.definition.id) for each in together[1 : _NAMED + 1]]
    rest = len(together) - 1 - len(names)
    others = [*names, f"{rest} more"] if rest else names
    shown = f"{instant.astimezone(task.zone):%Y-%m-%d %H:%M %Z}"
    what = f"is due at {shown} together with {listed(others)}: {len(together)} tasks"
    step = max(1, _SIXTY // len(together))
    spread = ", ".join(str(number * step) for number in range(3))
    dense = any(
        each.occurrences.shortest is not None
        and each.occurrences.shortest.total_seconds() < _SIXTY * _SIXTY
        for each in together
    )
    unit = "second" if dense else "minute"
    yield Remark(what, f"Spread them: give each its own {unit}, such as {spread} and so on.")


_WARNING: Final = Severity.WARNING
NEIGHBOUR_RULES: Final = (
    Rule(
        "TR401", _WARNING, "two tasks with one function and one schedule",
        "The work is done twice at the same time; mostly one is a copy that was not finished.",
        twin,
    ),
    Rule(
        "TR402", _WARNING, "ids that differ in case only",
        "In a command or a log line one is easily taken for the other.", same_letters,
    ),
    Rule(
        "TR403", Severity.NOTE, "another zone at the usual local time",
        "A zone that was copied along moves a task by hours.", other_zone,
    ),
    Rule(
        "TR404", _WARNING, "more tasks due at one instant than threads",
        "Those that find no thread wait, and whatever they share is busy at once.", herd,
    ),
)  # fmt: skip
