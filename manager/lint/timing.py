"""Rules about how a task's limits fit its period."""

from __future__ import annotations

import builtins
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.policy import (
    CATCH_UP_LIMIT,
    CATCH_UP_WINDOW,
    PUNCTUAL,
    Backoff,
    CatchUp,
    Delivery,
    Overlap,
)
from core.registry import nearest
from manager.lint.findings import Remark, Rule, Severity
from manager.scheduling.numbers import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.lint.project import Project
    from manager.lint.subject import Subject

_EXCEPTIONS: Final = [
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
]


def short_period(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a task that is due more often than every two seconds."""
    shortest = task.occurrences.shortest
    if shortest is not None and shortest < PUNCTUAL:
        what = f"is due every {_span(shortest)}"
        yield Remark(what, "Take 2 seconds or more, or let one run loop over the work.")


def skipping(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a time limit that reaches beyond the next occurrence, which is then skipped."""
    timeout, shortest = task.definition.timeout, task.occurrences.shortest
    if task.definition.overlap.mode is not Overlap.SKIP or timeout is None or shortest is None:
        return
    if timeout > shortest:
        what = f"may run for {_span(timeout)}, and is due again after {_span(shortest)}"
        advice = "Give it a timeout below its period; if skipping is meant, ignore this rule."
        yield Remark(what, advice)


def backlog(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a queue that may grow without end."""
    timeout, average = task.definition.timeout, task.occurrences.average
    if task.definition.overlap.mode is not Overlap.QUEUE or average is None:
        return
    if timeout is None or timeout > average:
        long = "without a limit" if timeout is None else f"for {_span(timeout)}"
        what = f"queues what overlaps, may run {long}, and is due every {_span(average)}"
        yield Remark(what, "Give it a timeout below its period, or overlap 'skip'.")


def short_grace(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a grace below what counts as punctual."""
    grace = task.definition.misfire_grace_time
    if grace is not None and grace < PUNCTUAL:
        what = f"has a misfire_grace_time of {_span(grace)}"
        yield Remark(what, "Take 2 seconds or more.")


def long_grace(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a grace that reaches beyond the next occurrence."""
    grace, shortest = task.definition.misfire_grace_time, task.occurrences.shortest
    if grace is not None and shortest is not None and grace > shortest:
        what = f"has a misfire_grace_time of {_span(grace)}, and is due every {_span(shortest)}"
        yield Remark(what, "Take a grace below the period, or leave it out.")


def dense_catch_up(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a schedule of which not everything can be made up."""
    if task.definition.catch_up is not CatchUp.ALL:
        return
    count = task.occurrences.count(CATCH_UP_WINDOW)
    if count > CATCH_UP_LIMIT:
        what = f"makes up all that it missed, and is due {count} times in 24 hours"
        yield Remark(what, "Use catch_up 'latest', and let a run work through what has gathered.")


def long_retries(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find retries that last beyond the next occurrence."""
    given, shortest = task.definition, task.occurrences.shortest
    if shortest is None or given.overlap.mode is Overlap.ALLOW:
        return
    pauses = (given.retry.delay_before(each + 2) for each in range(given.max_retries))
    total = sum(pauses, timedelta(0))
    if total > shortest:
        what = (
            f"may pause for {_span(total)} between its {given.max_retries + 1} attempts, "
            f"and is due again after {_span(shortest)}"
        )
        yield Remark(what, "Give it fewer retries, shorter pauses or a longer period.")


def repeated_once(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find retries of what shall run at most once."""
    given = task.definition
    if given.delivery is Delivery.AT_MOST_ONCE and given.max_retries:
        what = f"has delivery 'at_most_once', and max_retries {given.max_retries}"
        yield Remark(what, "Set max_retries to 0, or leave the delivery out.")


def capped_delay(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find pauses that are written longer than the longest that is allowed."""
    retry = task.definition.retry
    listing = retry.backoff is Backoff.LISTED
    longest = max(retry.delays, default=timedelta(0)) if listing else retry.delay
    if longest > retry.max_delay:
        name = "retry.backoff" if listing else "retry.delay"
        what = (
            f"has a {name} of {_span(longest)}, and a retry.max_delay of {_span(retry.max_delay)}"
        )
        yield Remark(what, "Raise retry.max_delay, or leave it out.")


def idle_retry(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a retry policy that is never asked."""
    if "retry" in task.definition.given and not task.definition.max_retries:
        yield Remark("says how to retry, and has max_retries 0", "Set max_retries, or drop retry.")


def forbidden_retry(task: Subject, project: Project) -> Iterator[Remark]:
    """Find retries that the settings switch off."""
    given = task.definition
    asks = given.max_retries > 0 and "max_retries" in given.given
    if asks and not project.config.manager.auto_restart_tasks:
        what = f"asks for {given.max_retries} retries, which manager.auto_restart_tasks denies"
        yield Remark(what, "Set auto_restart_tasks to true, or max_retries to 0.")


def both_ways(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find exceptions that are retried and never retried."""
    retry = task.definition.retry
    both = sorted(retry.retry_on & retry.never_on)
    if both:
        what = f"names {listed(both)} under retry.retry_on and under retry.never_on"
        yield Remark(what, "Take it out of one of them.")


def odd_exception(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find names that are nearly those of built-in exceptions."""
    retry = task.definition.retry
    for name in sorted(retry.retry_on | retry.never_on):
        meant = nearest(name, _EXCEPTIONS)
        if "." not in name and name not in _EXCEPTIONS and meant and _is_slip(name, meant):
            what = f"names the exception {name!r} in retry, which is nearly {meant!r}"
            yield Remark(what, f"Write {meant!r}, or the full name with its module.")


def _is_slip(name: str, meant: str) -> bool:
    """Tell whether the two have the same letters but for one or two."""
    same = sum(min(name.count(each), meant.count(each)) for each in set(name))
    return max(len(name), len(meant)) - same <= 1


def _span(span: timedelta) -> str:
    """Return a span in its largest whole unit, such as ``90 s`` or ``2 h``."""
    seconds = span.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length and math.isclose(seconds % length, 0, abs_tol=1e-6):
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:g} s" if seconds < 1_000 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - rounded beyond


_WARNING, _NOTE = Severity.WARNING, Severity.NOTE
TIMING_RULES: Final = (
    Rule(
        "TR201", _WARNING, "period below two seconds",
        "Each occurrence is a run in the ledger, and lateness of two seconds is normal.",
        short_period,
    ),
    Rule(
        "TR202", _NOTE, "time limit above the period, with overlap 'skip'",
        "A run that takes that long makes the next occurrences skipped.", skipping,
    ),
    Rule(
        "TR203", _WARNING, "time limit above the period, with overlap 'queue'",
        "Runs that take that long make a backlog that grows without end.", backlog,
    ),
    Rule(
        "TR204", _WARNING, "misfire_grace_time below two seconds",
        "Lateness of two seconds is normal, and what is later than the grace is dropped.",
        short_grace,
    ),
    Rule(
        "TR205", _NOTE, "misfire_grace_time above the period",
        "What is made up late then runs when the next occurrence is due already.", long_grace,
    ),
    Rule(
        "TR206", _WARNING, "catch_up 'all' on a dense schedule",
        "Only the last 100 of 24 hours are made up, all at once.", dense_catch_up,
    ),
    Rule(
        "TR207", _WARNING, "retries that outlast the period",
        "While a run waits for its next attempt, the next occurrences count as overlapping.",
        long_retries,
    ),
    Rule(
        "TR208", _WARNING, "retries with delivery 'at_most_once'",
        "The delivery is about a process that died; a retry runs the function again all the same.",
        repeated_once,
    ),
    Rule(
        "TR209", _WARNING, "retry.max_delay below the pauses that are written",
        "No pause is longer than retry.max_delay.", capped_delay,
    ),
    Rule(
        "TR210", _NOTE, "retry without retries",
        "Without retries the policy has no effect.", idle_retry,
    ),
    Rule(
        "TR211", _NOTE, "retries that the settings switch off",
        "With manager.auto_restart_tasks false no task is retried.", forbidden_retry,
    ),
    Rule(
        "TR212", _WARNING, "exception in retry_on and never_on",
        "never_on wins, so it is not retried.", both_ways,
    ),
    Rule(
        "TR213", _WARNING, "name that is nearly a built-in exception",
        "A name that no exception has matches nothing.", odd_exception,
    ),
)  # fmt: skip
