"""Runs that the ledger has under this node and that it never began: the answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import LedgerBrokenError, LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.ports import LedgerTransaction
    from core.run import Run
    from manager.engine.execution import Execution


class Doubts:
    """Finds what a commit started whose answer was lost, or whose turn was cut off.

    Such a run is running under this node with a token that nobody holds. While there is doubt
    the next turn reads them in its own transaction and begins them; each is begun once, because
    what was begun is known here until its outcome is written.

    Args:
        execution: The attempts under way.
        unsaved: Names what is not written yet: outcomes, and runs to be given back.
        node_id: This node.
    """

    def __init__(
        self, execution: Execution, unsaved: Callable[[], set[tuple[str, int]]], node_id: str
    ) -> None:
        self._execution = execution
        self._unsaved = unsaved
        self._node_id = node_id
        self.open = False

    def raised(self, error: BaseException) -> None:
        """Take note that a commit raised; some errors tell for sure that nothing was written."""
        if not isinstance(error, LedgerUnavailableError | LedgerBrokenError):
            self.open = True

    def compare(self, tokens: Mapping[str, int]) -> None:
        """Doubt, if the ledger has a run under this node that is unknown; *tokens* by run."""
        if not self._known().issuperset(tokens.items()):
            self.open = True

    def unknown(self, tx: LedgerTransaction) -> list[Run]:
        """Return the runs that the ledger has under this node and that it never began."""
        known = self._known()
        return [run for run in tx.owned(self._node_id) if (run.id, run.token) not in known]

    def _known(self) -> set[tuple[str, int]]:
        known = {(live.run.id, live.run.token) for live in self._execution.left()}
        return known | self._unsaved()
