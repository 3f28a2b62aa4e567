"""What a worker prints, as lines."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from manager.executors.children.budget import LINE_LIMIT

_CHUNK: Final = 65_536
_LINE_BYTES: Final = 4 * LINE_LIMIT


class Printed:
    """The reading end of a pipe into which a worker and its children print."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._rest = b""
        self.is_over = False

    def fileno(self) -> int:
        """Return the number of the file, for selectors."""
        return self._number

    def lines(self, most: int = 4) -> list[str]:
        """Return the lines that *most* reads give; a long line comes in parts."""
        found: list[str] = []
        for _ in range(most):
            try:
                part = os.read(self._number, _CHUNK)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                part = b""
            if not part:
                self.is_over = True
                break
            *whole, self._rest = (self._rest + part).split(b"\n")
            found += map(_text, whole)
            if len(self._rest) > _LINE_BYTES:
                found += self.rest()
        return found

    def skip(self) -> None:
        """Read and forget what has come."""
        self._rest = b""
        with suppress(OSError):
            for _ in range(4):
                if not os.read(self._number, 16 * _CHUNK):
                    self.is_over = True
                    break

    def rest(self) -> list[str]:
        """Return what was printed after the last line break."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []

    def close(self) -> None:
        """Close the file."""
        os.close(self._number)


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "backslashreplace")
