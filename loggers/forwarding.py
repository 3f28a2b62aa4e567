"""Logging in a child process: every record goes to whoever started it, which logs it there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from loggers.bridge import Entrance
from loggers.levels import LEVELS
from loggers.logger import Logger
from loggers.logger_config import apply_level, install_sinks, remove_default_sink
from loggers.ownership import OWNED, route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loggers.lines import Line

_HIGHEST: Final = 1_000
_FIELDS: Final = 50
_CONTEXT: Final = frozenset({"task_id", "run_id", "attempt"})


class _Forward:
    """Stands where the console does."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send

    def write(self, line: Line) -> None:
        """Send one line, with its traceback below the message."""
        text = f"{line.message}\n{line.exception}".rstrip() if line.exception else line.message
        extra = {
            key: value
            for key, value in list(line.extra.items())[:_FIELDS]
            if key not in _CONTEXT and isinstance(value, str | int | float | bool)
        }
        self._send({"level": line.level_no, "name": line.name, "text": text, "extra": extra})


def forward_logging(send: Callable[[Mapping[str, Any]], None]) -> None:
    """Give every record of this process to *send*, as JSON values; console and file get none.

    The records carry what ``log_context`` binds only on the other side.
    """
    with OWNED.lock:
        install_sinks(_Forward(send), None)
        root = logging.getLogger()
        if OWNED.entrance is None:
            OWNED.entrance = Entrance()
        if OWNED.entrance not in root.handlers:
            root.addHandler(OWNED.entrance)
        apply_level(LEVELS["INFO"])
        remove_default_sink()


def forward_from(level: int) -> None:
    """Forward records from *level* on."""
    with OWNED.lock:
        if OWNED.level != level:
            apply_level(level)


def relay(record: Mapping[str, Any], name: str) -> None:
    """Log here what a child has forwarded, under *name*."""
    level, extra = record.get("level"), record.get("extra")
    fields = {key: value for key, value in extra.items() if key} if isinstance(extra, dict) else {}
    number = level if isinstance(level, int) and 0 < level <= _HIGHEST else LEVELS["INFO"]
    Logger(name, fields).log(number, str(record.get("text", "")))


def lowest_level() -> int:
    """Return the lowest level whose records would be seen anywhere in this process."""
    root = logging.getLogger()
    return next((each for each in sorted(LEVELS.values()) if any(route(root, each))), _HIGHEST)
