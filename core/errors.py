"""The errors of Taskrack: one base, one class per fault, typed fields, text built here.

``TaskrackError`` is the base of all. Each class also derives from the builtin that a caller
expects: ``ValueError`` for a bad value, ``LookupError`` for an unknown id, ``TypeError`` for
something that cannot be called, ``RuntimeError`` for a wrong state of the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class TaskrackError(Exception):
    """Base of every error that Taskrack raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input: where it is, and what was expected and found there.

    Attributes:
        where: Path to the value, such as ``manager.task_timeout`` or ``trigger_args.hour``.
        what: Expected, found and what to do, in one clause.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ConfigurationError(TaskrackError, ValueError):
    """A configuration cannot be used; it names every problem of its source at once."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{source} has {count} {noun}:{lines}")


class DefinitionError(TaskrackError, ValueError):
    """A task definition does not validate; it names every problem of that definition at once."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: {'; '.join(str(problem) for problem in self.problems)}")


class NotCallableError(DefinitionError, TypeError):
    """What should be the function of a task cannot be called."""


class TriggerError(TaskrackError, ValueError):
    """A trigger's arguments make no schedule; it names every problem at once."""

    def __init__(self, kind: str, problems: Sequence[Problem]) -> None:
        self.kind = kind
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class DuplicateTaskError(TaskrackError, ValueError):
    """One id stands for two different functions."""

    def __init__(self, task_id: str, first: str, again: str) -> None:
        self.task_id = task_id
        self.first = first
        self.again = again
        super().__init__(
            f"task id {task_id!r} is defined twice: first in {first}, again in {again}. "
            "Ids are unique across plugins; rename one of them.",
        )


class UnknownTaskError(TaskrackError, LookupError):
    """No task has this id."""

    def __init__(self, task_id: str, suggestion: str | None = None) -> None:
        self.task_id = task_id
        self.suggestion = suggestion
        hint = f", did you mean {suggestion!r}?" if suggestion else ""
        super().__init__(f"no task has the id {task_id!r}{hint or '.'} See 'taskrack list'.")


class UnknownRunError(TaskrackError, LookupError):
    """No run has this id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"no run has the id {run_id!r}. See 'taskrack runs'.")


class TaskLimitError(TaskrackError, RuntimeError):
    """The container holds as many tasks as ``manager.max_tasks`` allows."""

    def __init__(self, task_id: str, limit: int) -> None:
        self.task_id = task_id
        self.limit = limit
        super().__init__(
            f"task {task_id!r} would be number {limit + 1}, but manager.max_tasks is {limit}. "
            "Raise it in config.json, or remove a task; the other tasks are kept.",
        )


class QueueFull(TaskrackError, RuntimeError):  # noqa: N818 - the documented name
    """As many runs that somebody asked for wait as ``manager.task_queue_size`` allows.

    Attributes:
        limit: How many may wait.
        waiting: How many wait.
        asked: How many more were asked for; none of them was added.
    """

    def __init__(self, limit: int, waiting: int, asked: int = 1) -> None:
        self.limit = limit
        self.waiting = waiting
        self.asked = asked
        runs = "one more" if asked == 1 else f"{asked} more"
        super().__init__(
            f"{waiting} runs that somebody asked for wait, {runs} would be beyond "
            f"manager.task_queue_size, which is {limit}. None was added: ask again when some have "
            "started, ask for fewer, or raise it in config.json.",
        )


class StateError(TaskrackError, RuntimeError):
    """The call does not fit the state that the container, a task or a run is in."""


class LoggingError(TaskrackError, ValueError):
    """A logging setting cannot be used."""


class PluginError(TaskrackError, RuntimeError):
    """A plugin cannot be loaded.

    Attributes:
        source: The file or name that was asked for.
        line: 1-based line of the fault in *source*, where there is one.
        cause: What happened.
        hint: What to do about it.
    """

    def __init__(self, source: str, cause: str, hint: str, line: int | None = None) -> None:
        self.source = source
        self.line = line
        self.cause = cause
        self.hint = hint
        place = source if line is None else f"{source}, line {line}"
        super().__init__(f"{place}: {cause}. {hint}")


class LedgerError(TaskrackError, RuntimeError):
    """The database cannot serve as the ledger; ``reason`` says why and what to do."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"database {url}: {reason}")


class LedgerUnavailableError(LedgerError):
    """The database does not serve at the moment: nothing was written, and a later try may do."""


class UnknownOutcomeError(LedgerError):
    """The answer to a commit was lost: it was written, or it was not.

    What the ledger says then decides; work is repeated only where a second time changes nothing.
    """


class LedgerBrokenError(LedgerError):
    """The database does not serve until somebody mends it; nothing was written."""
