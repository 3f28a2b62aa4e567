"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from manager.lint.project import Project
    from manager.lint.subject import Subject


class Severity(StrEnum):
    """How much a finding matters.

    An ``ERROR`` will fail or never run, a ``WARNING`` probably does something else than was
    meant, a ``NOTE`` is worth a look.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Remark(NamedTuple):
    """What a rule says of one task.

    Attributes:
        what: What is so, as the end of a sentence that begins with the task.
        advice: What to do about it.
    """

    what: str
    advice: str


Check = Callable[["Subject", "Project"], Iterator[Remark]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        code: Stable name.
        severity: How much its findings matter.
        title: What it looks for.
        why: Why that matters.
        check: Looks at one task of a project.
    """

    code: str
    severity: Severity
    title: str
    why: str
    check: Check


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found in a task; the words are those of its rule and remark.

    Attributes:
        code: The rule.
        severity: How much it matters.
        title: What the rule looks for.
        task_id: The task.
        source: Where the task is written.
        what: What was found.
        why: Why it matters.
        advice: What to do about it.
    """

    code: str
    severity: Severity
    title: str
    task_id: str
    source: str
    what: str
    why: str
    advice: str

    def __str__(self) -> str:
        place = f"{self.source}: " if self.source else ""
        told = f"{self.code} {self.severity.value}: task {self.task_id!r} {self.what}."
        return f"{place}{told} {self.why} {self.advice}"
