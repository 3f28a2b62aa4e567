"""How much one call may print and log before the rest is dropped."""

from __future__ import annotations

from typing import Final

LINE_LIMIT: Final = 8_192
"""Characters of one line; the rest of it is cut."""
LINES: Final = 1_000
SIZE: Final = 262_144
"""Characters of all lines of a call."""
EXCEEDED: Final = (
    f"more than {LINES} lines or {SIZE // 1024} KiB: the rest of its output is dropped"
)


class Budget:
    """What one call may still say."""

    def __init__(self) -> None:
        self._lines = LINES
        self._size = SIZE

    @property
    def is_spent(self) -> bool:
        """Whether everything further is dropped."""
        return self._lines < 0

    def cut(self, text: str) -> str | None:
        """Return *text* as far as it may be said; once it is spent, that it is, then ``None``."""
        if self._lines < 0:
            return None
        self._lines -= 1
        self._size -= min(len(text), LINE_LIMIT)
        if self._lines < 0 or self._size < 0:
            self._lines = -1
            return EXCEEDED
        return text if len(text) <= LINE_LIMIT else f"{text[:LINE_LIMIT]}... (cut)"
