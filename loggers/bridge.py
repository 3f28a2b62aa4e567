"""The two directions between standard logging and loguru, and the marks that stop the way back."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from loguru import logger as loguru_logger

from loggers.context import current_log_context
from loggers.levels import level_name, loguru_level
from loggers.messages import FAULTS
from loggers.ownership import takes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from loguru import Message, Record

ExcInfo = tuple[type[BaseException], BaseException, "TracebackType | None"]

# On a loguru record: it came from standard logging. On a LogRecord: it came from loguru.
_FROM_STANDARD: Final = "taskrack_from_standard"
_FROM_LOGURU: Final = "taskrack_from_loguru"
_OWN_ATTRIBUTES: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"},
)


class CallSite(NamedTuple):
    """Where a line was logged: the file's full path, the line, the function."""

    path: str
    line: int
    function: str


def standard_record(
    standard: logging.Logger,
    level: int,
    message: str,
    origin: CallSite,
    exc_info: ExcInfo | None,
    extra: Mapping[str, object],
) -> logging.LogRecord:
    """Return a ``LogRecord`` with a finished message and *extra* as attributes."""
    record = standard.makeRecord(
        standard.name,
        level,
        origin.path,
        origin.line,
        message,
        (),
        exc_info,
        origin.function,
    )
    record.levelname = level_name(level)
    for key, value in extra.items():
        if key not in _OWN_ATTRIBUTES:
            setattr(record, key, value)
    return record


class Entrance(logging.Handler):
    """Our one handler on the root logger: hands each record to loguru, once.

    It gives the record the attributes of the log context, so that handlers and listeners that
    look at it later find them.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Go without the handler's lock: loguru's sinks have theirs, two in a row could block."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record to loguru unless it came from there."""
        if hasattr(record, _FROM_LOGURU):
            return
        for key, value in current_log_context().items():
            if not hasattr(record, key):
                setattr(record, key, value)

        def as_logged(mine: Record) -> None:
            mine["name"] = record.name
            mine["function"] = record.funcName
            mine["line"] = record.lineno
            mine["module"] = record.module
            mine["file"].name = record.filename
            mine["file"].path = record.pathname
            mine["extra"].update(_extra_of(record))
            cast("dict[str, Any]", mine)[_FROM_STANDARD] = True

        log = loguru_logger.patch(as_logged).opt(exception=real_exception(record.exc_info))
        log.log(loguru_level(max(record.levelno, 0)), _message_of(record))


class Mirror:
    """Our loguru sink into standard logging, for those who listen there.

    A record that came from standard logging is not sent back. The level, the filters and
    ``disabled`` of the standard logger are honoured; where nobody but us listens, nothing is
    sent, so ``logging.lastResort`` never speaks.
    """

    name = "taskrack-mirror"

    def __init__(self) -> None:
        self._local = threading.local()

    def admits(self, record: Record) -> bool:
        """Tell whether the record goes to standard logging; this is the sink's filter."""
        if _FROM_STANDARD in record or self._passing() is not None:
            return False
        standard = logging.getLogger(record["name"])
        return standard.isEnabledFor(record["level"].no) and takes(standard)

    def is_echo(self, record: Record) -> bool:
        """Tell whether a handler of the application returns to loguru what we sent just now."""
        return self._passing() == record["message"]

    def write(self, message: Message) -> None:
        """Send one record to its standard logger."""
        mine = message.record
        standard = logging.getLogger(mine["name"])
        caught = mine["exception"]
        exception = (caught.type, caught.value, caught.traceback) if caught else None
        origin = CallSite(mine["file"].path, mine["line"], mine["function"])
        record = standard_record(
            standard,
            mine["level"].no,
            mine["message"],
            origin,
            real_exception(exception),
            mine["extra"],
        )
        record.levelname = mine["level"].name
        setattr(record, _FROM_LOGURU, True)
        self._local.message = mine["message"]
        try:
            standard.handle(record)
        finally:
            self._local.message = None

    def _passing(self) -> str | None:
        """Return the message that this thread is sending to standard logging right now."""
        return getattr(self._local, "message", None)


def real_exception(
    exc_info: tuple[type[BaseException] | None, BaseException | None, TracebackType | None] | None,
) -> ExcInfo | None:
    """Return the triple where it holds an exception, else None."""
    if exc_info is None:
        return None
    kind, value, trace = exc_info
    return None if kind is None or value is None else (kind, value, trace)


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except FAULTS:  # a template that does not fit loses neither itself nor its arguments
        message = f"{record.msg} {record.args!r}"
    parts = [message, record.stack_info, None if record.exc_info else record.exc_text]
    return "\n".join(part for part in parts if part)


def _extra_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what the caller put on the record by ``extra=``."""
    return {key: value for key, value in vars(record).items() if key not in _OWN_ATTRIBUTES}
