"""What always holds of a ledger, whatever died, failed or was told to two nodes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import TaskrackError


@dataclass(frozen=True, slots=True)
class Invariant:
    """One sentence that is true at every instant.

    Attributes:
        id: ``I1`` to ``I10``; it never changes its meaning.
        sentence: What is promised.
    """

    id: str
    sentence: str


ONE_ROW: Final = Invariant("I1", "a task has one row for each occurrence")
NO_GAP: Final = Invariant(
    "I2",
    "every occurrence up to the cursor of its task has a row, or is counted by one that was "
    "skipped or missed, and none is decided before its time",
)
FINAL: Final = Invariant("I3", "a final state never changes, and says when and how it came")
TOKENS: Final = Invariant("I4", "the token of a run never falls; each has one attempt")
CLAIMED: Final = Invariant("I5", "user code starts only after its start is committed")
ONCE: Final = Invariant(
    "I6", "a run of a task that is delivered at most once is not started again after a crash"
)
ROOM: Final = Invariant("I7", "a task has no more runs under way than its overlap allows")
TRIES: Final = Invariant(
    "I8", "attempts that failed are at most max_retries and one; crashes and interruptions aside"
)
FENCED: Final = Invariant("I9", "an outcome is written by the holder of the token or not at all")
ENDING: Final = Invariant(
    "I10", "where a node lives that can run it, everything due is started, and what started ends"
)

INVARIANTS: Final = (
    ONE_ROW, NO_GAP, FINAL, TOKENS, CLAIMED, ONCE, ROOM, TRIES, FENCED, ENDING,
)  # fmt: skip


class InvariantError(TaskrackError, RuntimeError):
    """Code that runs has found what can never be; it stops before it makes it worse.

    Attributes:
        invariant: Which sentence is broken.
        where: The task and run.
        expected: What should be.
        found: What is.
    """

    def __init__(self, invariant: Invariant, where: str, expected: str, found: str) -> None:
        self.invariant = invariant
        self.where = where
        self.expected = expected
        self.found = found
        super().__init__(
            f"{invariant.id}, {invariant.sentence}: {where}: expected {expected}, found {found}. "
            "Run 'taskrack verify', and report this as a bug.",
        )
