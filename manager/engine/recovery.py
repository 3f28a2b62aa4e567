"""What nodes that died left behind, and what one that shuts down gives back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.crashing import Buried
from core.policy import Delivery
from core.records import Ending
from core.run import Attempt, Reason, RunState
from manager.engine.node import is_known_dead
from manager.engine.verdicts import STOPPED_BY_US

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from core.ports import Ledger
    from core.records import Node, Suspect
    from core.run import Run
    from manager.engine.liverun import LiveRun


def recover(  # noqa: PLR0913 - the two clocks, and what each may be used for
    ledger: Ledger,
    here: Node,
    now: datetime,
    second: float,
    *,
    rerun: bool,
    leased: bool,
    last_words: Callable[[Sequence[str]], None],
) -> Buried:
    """End what dead nodes left running, by the policy of each task; return what became.

    A node of this machine is dead when its process is gone, any node when its lease has run out:
    by the boot-time clock on this machine, which no clock step touches, by the ledger's elsewhere.

    Args:
        ledger: Where nodes and runs are.
        here: The node that looks.
        now: The wall clock's time.
        second: The boot-time clock's.
        rerun: Whether what may run again does.
        leased: Whether leases of other machines can be judged by *now*.
        last_words: Brings in what the dead kept on disk, before their runs are decided.
    """
    dead = {
        each.node.id: each.second
        for each in ledger.suspects(now)
        if each.node.id != here.id
        and (_has_lapsed(each, here, second, leased=leased) or is_known_dead(each.node, here))
    }
    if not dead:
        return Buried()
    last_words([*dead])
    return ledger.bury([*dead], now, rerun=rerun, leases=dead)


def _has_lapsed(suspect: Suspect, here: Node, second: float, *, leased: bool) -> bool:
    if here.boot_id and suspect.node.boot_id == here.boot_id:
        return suspect.second < second
    return suspect.lapsed and leased


def unstarted(run: Run) -> Run:
    """Return a run whose start was committed and whose function was never called, given back."""
    text = "its node was silent for longer than its lease before it called the function"
    return _interrupted(run, RunState.PENDING, Reason.UNCALLED, text)


def removed(run: Run) -> Ending:
    """Return the end of a run whose start was committed when its task was taken out."""
    ended = run.started_at or run.created_at
    gone = replace(run, state=RunState.CANCELLED, reason=Reason.REMOVED, finished_at=ended)
    return Ending(run=gone, token=run.token, attempt=Attempt.of(gone, ended))


def given_back(live: LiveRun) -> Run:
    """Return the run that a shutdown cuts off as it will stand; what was cancelled stays so."""
    run = live.run
    if live.stopped in STOPPED_BY_US:
        return replace(run, state=RunState.CANCELLED, reason=live.stopped)
    once = live.definition.delivery is Delivery.AT_MOST_ONCE
    state = RunState.LOST if once else RunState.PENDING
    text = "the container was shut down while it ran"
    return _interrupted(run, state, Reason.INTERRUPTED, text)


def never_begun(run: Run) -> Run:
    """Return a run that was claimed and not called, as a shutdown gives it back: nobody ran it."""
    text = "the container was shut down before it was called"
    return _interrupted(run, RunState.PENDING, Reason.INTERRUPTED, text)


def _interrupted(run: Run, state: RunState, reason: Reason, text: str) -> Run:
    count = run.interruptions + 1
    return replace(run, state=state, reason=reason, interruptions=count, error=text)
