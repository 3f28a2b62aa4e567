"""``setup_logging`` and its way back: the one place that adds sinks and handlers."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from loguru import logger as loguru_logger

from core.errors import LoggingError
from loggers.bridge import Entrance, Mirror
from loggers.levels import level_number
from loggers.logger import get_logger
from loggers.ownership import OWNED, loguru_sinks
from loggers.settings import DEFAULT_LEVEL, Given, Settings, read_settings
from loggers.sinks import Console, LogFile, Outlet

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from loguru import Record

    from loggers.sinks import LineReader

_SINK_OPTIONS: Final[dict[str, Any]] = {
    "level": 0,
    "format": "",
    "colorize": False,
    "backtrace": False,
    "diagnose": False,  # else a traceback shows the values of variables, passwords included
    "enqueue": False,
    "catch": True,
}


def setup_logging(  # noqa: PLR0913  # the documented signature
    log_level: str | int | None = DEFAULT_LEVEL,
    log_file: str | os.PathLike[str] | None = None,
    max_bytes: int = 10_485_760,
    backup_count: int = 5,
    *,
    enable_colors: bool = True,
    log_format: str | None = None,
    strict: bool = False,
) -> None:
    """Take over logging for this process: console, optional file, and the bridge.

    Each record is then seen once by the console and once by whoever listens on standard logging.
    loguru's default sink is replaced, the root logger's level is lowered to *log_level* where it
    is higher, and handlers and sinks of others stay. A second call replaces the settings only.
    An argument that is given wins; what is left out or None comes from ``LOG_LEVEL``,
    ``LOG_FILE`` and ``LOG_FORMAT`` where they are set and not empty.

    Args:
        log_level: Lowest level shown; a name or a number. In the end INFO.
        log_file: File to append to, made with its folder; empty for none. In the end none.
        max_bytes: Size in bytes above which the file turns over; zero means never.
        backup_count: Number of old files kept: ``app.log.1`` is the newest.
        enable_colors: Colour the console's levels, on a terminal and without ``NO_COLOR``.
        log_format: ``colored``, ``plain`` or ``json`` (console and file). In the end colored.
        strict: Raise for a log file that cannot be used; else that error is logged on the
            console, which works in both cases, and the call returns.

    Raises:
        LoggingError: Settings cannot be used, all problems at once, and nothing was changed; or,
            with *strict*, the log file cannot be opened.
    """
    given = Given(log_level, log_file, max_bytes, backup_count, enable_colors, log_format)
    settings = read_settings(given)
    with OWNED.lock:
        fault = _install(settings)
    if fault is not None:
        get_logger("loggers").error(str(fault))
        if strict:
            raise fault


def teardown_logging() -> None:
    """Remove what ``setup_logging`` added, and restore what it replaced; else do nothing."""
    with OWNED.lock:
        for part in (OWNED.outlet, OWNED.mirror):
            if part is not None:
                with suppress(ValueError):  # somebody else removed it
                    loguru_logger.remove(part[1])
        OWNED.outlet = OWNED.mirror = None
        root = logging.getLogger()
        if OWNED.entrance is not None:
            root.removeHandler(OWNED.entrance)
            OWNED.entrance.close()
            OWNED.entrance = None
        if OWNED.root_level_before is not None and root.level == OWNED.root_level_set:
            root.setLevel(OWNED.root_level_before)
        OWNED.root_level_before = OWNED.root_level_set = None
        stream = OWNED.default_stream or sys.stderr
        if OWNED.default_removed and stream is not None:
            OWNED.default_id = loguru_logger.add(stream)
        OWNED.default_removed, OWNED.default_stream = False, None


def set_level(level: str | int) -> None:
    """Change the lowest level that our console and file show, from now on.

    Raises:
        LoggingError: There is no such level, or ``setup_logging`` was not called and the levels
            are the application's.
    """
    number = level_number(level)
    with OWNED.lock:
        if OWNED.outlet is None:
            raise LoggingError(
                "set_level works on the sinks of setup_logging, and they are not installed. "
                "Call setup_logging, or change the level where the application set up logging.",
            )
        apply_level(number)


def _install(settings: Settings) -> LoggingError | None:
    """Put our sinks and handler in place; return what keeps the file from being used."""
    file: LogFile | None = None
    fault: LoggingError | None = None
    if settings.file is not None:
        try:
            file = LogFile(settings.file)
        except OSError as error:
            fault = _file_fault(settings.file.path, error)
    console = Console(json=settings.json, colors=settings.colors)
    install_sinks(console, file)
    root = logging.getLogger()
    if OWNED.entrance is None:
        OWNED.entrance = Entrance()
    if OWNED.entrance not in root.handlers:
        root.addHandler(OWNED.entrance)
    apply_level(settings.level)
    remove_default_sink()
    return fault


def install_sinks(console: LineReader, file: LogFile | None) -> None:
    """Add outlet and mirror where they are missing, and exchange what the outlet feeds."""
    present = loguru_sinks()
    if OWNED.mirror is None or OWNED.mirror[1] not in present:
        mirror = Mirror()
        number = loguru_logger.add(mirror, filter=mirror.admits, **_SINK_OPTIONS)
        OWNED.mirror = (mirror, number)
    if OWNED.outlet is None or OWNED.outlet[1] not in present:
        outlet = Outlet(console)
        number = loguru_logger.add(outlet, filter=_is_shown, **_SINK_OPTIONS)
        OWNED.outlet = (outlet, number)
    OWNED.outlet[0].feed(console, file)


def _is_shown(record: Record) -> bool:
    """Tell whether a record reaches console and file; this is the outlet's filter."""
    if record["level"].no < OWNED.level:
        return False
    return OWNED.mirror is None or not OWNED.mirror[0].is_echo(record)


def apply_level(number: int) -> None:
    """Show records from that level on, those of standard logging included."""
    OWNED.level = number
    root = logging.getLogger()
    if OWNED.root_level_before is None or root.level != OWNED.root_level_set:
        OWNED.root_level_before = root.level
    OWNED.root_level_set = min(OWNED.root_level_before, number)
    root.setLevel(OWNED.root_level_set)


def remove_default_sink() -> None:
    """Remove loguru's own sink, and remember where it wrote."""
    default = loguru_sinks().get(OWNED.default_id)
    if default is None:
        return
    OWNED.default_stream = getattr(getattr(default, "_sink", None), "_stream", None)
    loguru_logger.remove(OWNED.default_id)
    OWNED.default_removed = True


def _file_fault(path: Path, error: OSError) -> LoggingError:
    """Say what is wrong with the path of the log file, and what to do."""
    reason = error.strerror or str(error)
    if isinstance(error, IsADirectoryError):
        reason = "it is a folder, and a file is expected"
    elif isinstance(error, NotADirectoryError | FileExistsError):
        blocking = next((part for part in path.parents if part.is_file()), path.parent)
        reason = f"{str(blocking)!r} is a file where a folder is expected"
    return LoggingError(
        f"log file {str(path)!r} cannot be used: {reason}. Logging goes on without a file; "
        "give log_file a path that can be written.",
    )
