"""Looks at every task of a project with every rule that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.errors import TaskrackError
from core.registry import nearest
from manager.lint.findings import Finding, Severity
from manager.lint.functions import FUNCTION_RULES
from manager.lint.neighbours import NEIGHBOUR_RULES
from manager.lint.project import Project
from manager.lint.schedules import SCHEDULE_RULES
from manager.lint.timing import TIMING_RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from configurations import Xcorecfg
    from core.definition import TaskDefinition
    from core.trigger import TriggerFactories
    from manager.lint.findings import Rule

RULES: Final[tuple[Rule, ...]] = (
    *SCHEDULE_RULES,
    *TIMING_RULES,
    *FUNCTION_RULES,
    *NEIGHBOUR_RULES,
)
"""Every rule, in the order of the codes."""


class RuleChoiceError(TaskrackError, ValueError):
    """A choice of rules names a code that no rule has."""

    def __init__(self, given: str, suggestion: str | None) -> None:
        self.given = given
        self.suggestion = suggestion
        hint = f", did you mean {suggestion!r}?" if suggestion else "."
        super().__init__(
            f"no rule has the code {given!r}{hint} A code such as 'TR104' is one rule, its "
            "beginning such as 'TR1' a group."
        )


@dataclass(frozen=True, slots=True)
class RuleChoice:
    """Which rules look at which tasks.

    Attributes:
        select: Beginnings of codes; empty for every rule.
        ignore: Beginnings of codes to leave out.
        ignore_for: Beginnings of codes to leave out for one task, each with its id.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    ignore_for: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> RuleChoice:
        """Return the choice that texts make.

        Args:
            select: Codes or their beginnings, several joined by commas.
            ignore: The same; or ``TR104:nightly`` for one task, whose id is all after the colon.

        Raises:
            RuleChoiceError: no rule has such a code.
        """
        pairs = [each.partition(":") for each in ignore]
        plain = [code for code, colon, _ in pairs if not colon]
        return cls(
            select=_codes(select),
            ignore=_codes(plain),
            ignore_for=tuple(
                (code, task_id)
                for text, colon, task_id in pairs
                if colon
                for code in _codes([text])
            ),
        )

    def includes(self, code: str) -> bool:
        """Tell whether a rule is wanted at all."""
        wanted = not self.select or code.startswith(self.select)
        return wanted and not (self.ignore and code.startswith(self.ignore))

    def spares(self, code: str, task_id: str) -> bool:
        """Tell whether a rule leaves a task alone."""
        return any(
            each == task_id and code.startswith(beginning) for beginning, each in self.ignore_for
        )


EVERY_RULE: Final = RuleChoice()


def lint(
    definitions: Iterable[TaskDefinition],
    *,
    config: Xcorecfg,
    now: datetime,
    choice: RuleChoice = EVERY_RULE,
    plugged: TriggerFactories | None = None,
) -> list[Finding]:
    """Return what the rules find in *definitions*, task by task, by code.

    Nothing is imported, called, stored or started; the source of coroutine functions is read.

    Args:
        definitions: The tasks of one project; rules about several look at all of them.
        config: Its settings.
        now: The time to go by.
        choice: Which rules look.
        plugged: Kinds of trigger that plugins offer.
    """
    project = Project(definitions, config, now, plugged or {})
    rules = [rule for rule in RULES if choice.includes(rule.code)]
    return [
        Finding(
            rule.code, rule.severity, rule.title, task.definition.id, task.definition.source,
            remark.what, rule.why, remark.advice,
        )
        for task in project.subjects
        for rule in rules
        if not choice.spares(rule.code, task.definition.id)
        for remark in rule.check(task, project)
    ]  # fmt: skip


def is_in_order(findings: Iterable[Finding], *, strict: bool = False) -> bool:
    """Tell whether there is no error and no warning; with *strict*, no note either."""
    return not any(strict or each.severity is not Severity.NOTE for each in findings)


def _codes(texts: Iterable[str]) -> tuple[str, ...]:
    known = [rule.code for rule in RULES]
    found = [code.strip().upper() for text in texts for code in text.split(",")]
    for code in found:
        if not code or not any(each.startswith(code) for each in known):
            raise RuleChoiceError(code, nearest(code, known))
    return tuple(found)
