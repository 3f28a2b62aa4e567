"""Whose logging it is: what we installed, what the application did, and where a record goes."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from loguru import logger as loguru_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

    from loguru import Record

    from loggers.sinks import Outlet

# Handlers of test tools listen in; that they are there does not mean that an application set
# up logging.
_LISTENERS: Final = frozenset({"_pytest.logging", "unittest._log"})


class Echoing(Protocol):
    """A sink that may hear again what it has just said."""

    def is_echo(self, record: Record) -> bool:
        """Tell whether the record is what it sent just now."""
        ...


class Route(NamedTuple):
    """Which of the two logging systems gets a record of ``get_logger``."""

    loguru: bool
    standard: bool


NOWHERE: Final = Route(loguru=False, standard=False)
TO_LOGURU: Final = Route(loguru=True, standard=False)
TO_STANDARD: Final = Route(loguru=False, standard=True)
TO_BOTH: Final = Route(loguru=True, standard=True)

# loguru has no public way to tell which sinks there are, and whose they are decides the route;
# a test holds this against the installed version.
_LOGURU: Final = cast("Any", loguru_logger)._core  # noqa: SLF001


@dataclass(slots=True)
class Ownership:
    """What ``setup_logging`` installed in this process; ``OWNED`` is the only one.

    Sinks and root handlers belong to the process, so what is known of them does too.

    Attributes:
        lock: Held while anything below changes.
        level: The lowest level that our outlet shows.
        outlet: Our sink for console and file, with the id that loguru gave it.
        mirror: Our sink into standard logging, with its id.
        entrance: Our handler on the root logger.
        root_level_before: The root logger's level before we lowered it.
        root_level_set: The level that we gave it.
        default_id: The id of loguru's own sink on standard error.
        default_stream: Its stream, kept from when we removed it until it is restored.
        default_removed: True between the two.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    level: int = 0
    outlet: tuple[Outlet, int] | None = None
    mirror: tuple[Echoing, int] | None = None
    entrance: logging.Handler | None = None
    root_level_before: int | None = None
    root_level_set: int | None = None
    default_id: int = 0
    default_stream: TextIO | None = None
    default_removed: bool = False


OWNED: Final = Ownership()


def is_configured_by_application() -> bool:
    """Tell whether the application has set up logging by itself.

    It has when the root logger has a handler that is not ours, or loguru has a sink that is
    neither ours nor its default one, or its default one was removed by somebody else. Handlers
    of pytest and of ``assertLogs`` do not count, nor does a ``NullHandler`` or
    ``logging.lastResort``.
    """
    root = logging.getLogger()
    return any(_is_of_application(handler) for handler in root.handlers) or _loguru_is_configured()


def takes(standard: logging.Logger) -> bool:
    """Tell whether a handler that is not ours would get a record of this logger."""
    return any(
        handler is not OWNED.entrance and not isinstance(handler, logging.NullHandler)
        for handler in _handlers_of(standard)
    )


def route(standard: logging.Logger, level: int) -> Route:
    """Return where a record of that level goes; asked before its message is formatted.

    With our sinks installed: into loguru, whose mirror feeds standard logging. Without: to
    standard logging where the application has a handler there, else to loguru where the
    application set that up. Test tools that listen on standard logging get it in every case,
    and ``logging.lastResort`` in none.
    """
    if OWNED.outlet is not None:
        return TO_LOGURU if _is_wanted(standard, level) else NOWHERE
    enabled = standard.isEnabledFor(level)
    if not _loguru_is_configured():
        return TO_STANDARD if enabled and takes(standard) else NOWHERE
    if any(_is_of_application(handler) for handler in _handlers_of(standard)):
        return TO_STANDARD if enabled else NOWHERE
    if enabled and takes(standard) and not _loguru_feeds_standard():
        return TO_BOTH
    return TO_LOGURU


def loguru_sinks() -> Mapping[int, Any]:
    """Return loguru's handlers by id, as they are now."""
    handlers: Mapping[int, Any] = _LOGURU.handlers
    return handlers


def _is_wanted(standard: logging.Logger, level: int) -> bool:
    if level >= OWNED.level:
        return True
    for number, sink in loguru_sinks().items():
        if not _is_own(number) and sink.levelno <= level:
            return True
    return standard.isEnabledFor(level) and takes(standard)


def _is_own(number: int) -> bool:
    outlet, mirror = OWNED.outlet, OWNED.mirror
    return (outlet is not None and outlet[1] == number) or (
        mirror is not None and mirror[1] == number
    )


def _loguru_is_configured() -> bool:
    present = loguru_sinks().keys()
    if not OWNED.default_removed and OWNED.default_id not in present:
        return True
    return any(number != OWNED.default_id and not _is_own(number) for number in present)


def _loguru_feeds_standard() -> bool:
    """Tell whether a loguru sink is a ``logging.Handler``, as in loguru's recipe for caplog."""
    return any(
        isinstance(getattr(getattr(sink, "_sink", None), "_handler", None), logging.Handler)
        for sink in loguru_sinks().values()
    )


def _is_of_application(handler: logging.Handler) -> bool:
    if handler is OWNED.entrance or isinstance(handler, logging.NullHandler):
        return False
    return all(kind.__module__ not in _LISTENERS for kind in type(handler).__mro__)


def _handlers_of(standard: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers that a record of the logger reaches, as ``callHandlers`` walks."""
    current: logging.Logger | None = standard
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None
