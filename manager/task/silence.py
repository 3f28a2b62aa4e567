"""A container without plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.run import Run


class Silence:
    """Hears what happens to runs and tells nobody."""

    def started(self, run: Run) -> None:
        """Hear that an attempt is about to start."""

    def retrying(self, run: Run) -> None:
        """Hear that another attempt will follow."""

    def finished(self, run: Run) -> None:
        """Hear that a run is final."""

    def dropped(self, run: Run) -> None:
        """Hear that occurrences were skipped or missed."""

    def quarantined(self, run: Run) -> None:
        """Hear that the task of *run* is quarantined."""
