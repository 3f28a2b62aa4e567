"""What is replaced from outside while a block runs, and put back after."""

from __future__ import annotations

from typing import Any


class Patch:
    """Replaces what belongs to others, and puts it back."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def put(self, owner: object, name: str, value: object) -> Any:  # noqa: ANN401 - whatever was there
        """Replace one attribute; return what it was."""
        before = getattr(owner, name)
        self._before.append((owner, name, before))
        setattr(owner, name, value)
        return before

    def undo(self) -> None:
        """Put everything back."""
        while self._before:
            setattr(*self._before.pop())
