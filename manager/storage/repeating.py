"""What a second time does: why each write may be done again where the answer to it was lost.

A commit whose answer is lost was made or was not. ``Recorder`` does guarded work again by itself;
``transact`` leaves it to its caller, because a second claim would start other runs than the
first. The engine then looks for runs that are its own and that it never began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import exists, select

from core.errors import LedgerError, UnknownOutcomeError
from core.run import Reason
from manager.storage.tables import attempts, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import Connection

    from core.ports import Ledger, LedgerTransaction
    from core.records import Ending

T = TypeVar("T")
REASONS: Final[Mapping[str, str]] = {
    "fire": "the cursor is compared; runs that it started are found under the node",
    "insert": "the fire key is unique, and the run's own id tells that it is there",
    "claim": "never done again blindly: runs that it started are found under the node",
    "end": "the token is compared; an outcome that stands counts as written",
    "release": "the token is compared, and the state that it leaves is left once",
    "shift": "the anchors are compared; a retry that waits starts sooner at worst",
    "join": "the node's id is unique, and a row that is there is kept",
    "beat": "it overwrites",
    "revive": "it overwrites",
    "offer": "an entry that is there is kept",
    "request": "as insert; what it finds there counts as waiting once",
    "leave": "it overwrites",
    "bury": "the token is compared, and the state that it leaves is left once",
    "bind": "it overwrites; a row that this registration made counts as new",
    "amend": "it overwrites, and a line of the audit is written once for its instant",
    "cancel": "the state is compared",
    "prune": "what is gone is gone",
    "store_document": "it overwrites",
}
"""Every verb that writes, and what makes its repetition harmless."""


def settled(ledger: Ledger, work: Callable[[LedgerTransaction], T]) -> T:
    """Run *work*, which changes nothing a second time, again where the answer was lost.

    Raises:
        UnknownOutcomeError: the answer was lost, and the database does not serve any more.
        LedgerError: it was not written.
    """
    try:
        return ledger.transact(work)
    except UnknownOutcomeError as lost:
        try:
            return ledger.transact(work)
        except LedgerError:
            raise lost from None


def stands(connection: Connection, ending: Ending) -> bool:
    """Tell whether the ledger says what *ending* says, so that it was written before.

    Of a crash it cannot tell who wrote it.
    """
    run, attempt = ending.run, ending.attempt
    if run.reason is Reason.CRASH:
        return False
    if attempt is not None:
        written = exists().where(
            attempts.c.run_id == run.id,
            attempts.c.token == ending.token,
            attempts.c.finished_at == attempt.finished_at,
            attempts.c.outcome == attempt.outcome,
        )
    else:
        written = exists().where(
            runs.c.id == run.id,
            runs.c.token == ending.token,
            runs.c.state == run.state.value,
            runs.c.finished_at == run.finished_at,
        )
    found: bool = connection.execute(select(written)).scalar_one()
    return found
