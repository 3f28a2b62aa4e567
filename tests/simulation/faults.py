"""What may go wrong in a simulated world: where, how often, and how often it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random


class Fault(StrEnum):
    """One kind of fault; each must have struck somewhere, or the check of all seeds fails."""

    CRASH_BEFORE_WRITE = "crash before a write"
    CRASH_IN_TRANSACTION = "crash before a commit"
    CRASH_AFTER_COMMIT = "crash between a commit and what follows"
    CRASH_IN_RUN = "crash in mid-run"
    CRASH_IN_RECOVERY = "crash in recovery"
    CRASH_IN_START = "crash in a start"
    CRASH_IN_STOP = "crash in a shutdown"
    PAUSE = "pause beyond the lease"
    PAUSE_BEFORE_WRITE = "pause before a write"
    PAUSE_AFTER_COMMIT = "pause between a commit and what follows"
    PARTITION = "partition"
    ERROR_BEFORE_WRITE = "error before a write"
    ERROR_AFTER_COMMIT = "error after a commit"
    ERROR_IN_READ = "error in a read"
    SLOW_WRITE = "slow write"
    BUSY = "database locked"
    STEP_BACK = "clock set back"
    STEP_AHEAD = "clock set ahead"
    STOP = "shutdown"
    BLACKOUT = "no node at all"


AT_WRITES: Final = {
    Fault.CRASH_BEFORE_WRITE: 0.003,
    Fault.CRASH_IN_TRANSACTION: 0.003,
    Fault.CRASH_AFTER_COMMIT: 0.004,
    Fault.CRASH_IN_RECOVERY: 0.15,
    Fault.CRASH_IN_START: 0.1,
    Fault.CRASH_IN_STOP: 0.3,
    Fault.PAUSE_BEFORE_WRITE: 0.003,
    Fault.PAUSE_AFTER_COMMIT: 0.008,
    Fault.ERROR_BEFORE_WRITE: 0.01,
    Fault.ERROR_AFTER_COMMIT: 0.008,
    Fault.ERROR_IN_READ: 0.004,
    Fault.SLOW_WRITE: 0.008,
    Fault.BUSY: 0.004,
}
"""How likely each is at each call that it may strike."""
AIMED: Final = (Fault.CRASH_IN_RUN, Fault.PAUSE, Fault.PARTITION, Fault.STOP)
"""Those that wait for a call of user code, and strike in the middle of it."""
PER_DAY: Final = {
    Fault.CRASH_IN_RUN: 0.8,
    Fault.PAUSE: 1.2,
    Fault.PARTITION: 0.8,
    Fault.STEP_BACK: 0.25,
    Fault.STEP_AHEAD: 0.25,
    Fault.STOP: 0.8,
    Fault.BLACKOUT: 0.25,
}
"""How often a day each of the others strikes."""


@dataclass(slots=True)
class Faults:
    """The faults of one world.

    Attributes:
        draw: Decides.
        on: The kinds that strike here; each is switched by itself, so that rare pairs meet.
        active: Whether any strikes at the moment.
        struck: How often each has struck.
    """

    draw: random.Random
    on: frozenset[Fault]
    active: bool = True
    struck: Counter[Fault] = field(default_factory=Counter)

    def strikes(self, fault: Fault) -> bool:
        """Decide whether *fault* strikes here and now, and count it."""
        if not self.active or fault not in self.on or self.draw.random() >= AT_WRITES[fault]:
            return False
        self.struck[fault] += 1
        return True


class Crashed(BaseException):
    """Unwinds whatever a node was doing when its process died."""
