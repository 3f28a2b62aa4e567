"""``get_logger`` and the logger that it returns."""

from __future__ import annotations

import logging
import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from loguru import logger as loguru_logger

from loggers.bridge import CallSite, real_exception, standard_record
from loggers.context import current_log_context
from loggers.levels import LEVELS, level_number, loguru_level
from loggers.messages import compose
from loggers.ownership import route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loguru import Record

    from loggers.bridge import ExcInfo

_DEBUG: Final = LEVELS["DEBUG"]
_INFO: Final = LEVELS["INFO"]
_SUCCESS: Final = LEVELS["SUCCESS"]
_WARNING: Final = LEVELS["WARNING"]
_ERROR: Final = LEVELS["ERROR"]
_CRITICAL: Final = LEVELS["CRITICAL"]
_NO_FIELDS: Final[Mapping[str, object]] = {}
# From the frame that hands a record over, past _emit and the method, to the caller.
_DEPTH: Final = 3


class Logger:
    """A named logger that takes both loguru's and standard logging's way of calling.

    ``info("x {}", 1)`` and ``info("x %s", 1)`` both work; a message without arguments is never
    formatted, and markup such as ``<red>`` is text. Named arguments fill ``{name}`` and are
    bound to the record. ``exc_info``, ``extra`` and ``stacklevel`` mean what they mean in
    standard logging; ``stack_info`` is accepted and has no effect. Below the level a call costs
    next to nothing and formats nothing.
    """

    __slots__ = ("_bound", "_loguru", "_name", "_standard")

    def __init__(self, name: str, bound: Mapping[str, object] = _NO_FIELDS) -> None:
        self._name = name
        self._bound = dict(bound)
        self._standard = logging.getLogger(name)
        self._loguru = loguru_logger.patch(partial(_give_name, name)).bind(**self._bound)

    @property
    def name(self) -> str:
        """The name that its lines carry."""
        return self._name

    def bind(self, /, **fields: object) -> Logger:
        """Return a logger of the same name whose records carry *fields* as well."""
        return Logger(self._name, {**self._bound, **fields})

    def debug(self, message: object, /, *args: object, **fields: object) -> None:
        """Log what helps to find a fault."""
        self._emit(_DEBUG, message, args, fields)

    def info(self, message: object, /, *args: object, **fields: object) -> None:
        """Log what happened."""
        self._emit(_INFO, message, args, fields)

    def success(self, message: object, /, *args: object, **fields: object) -> None:
        """Log what went well."""
        self._emit(_SUCCESS, message, args, fields)

    def warning(self, message: object, /, *args: object, **fields: object) -> None:
        """Log what may become a fault."""
        self._emit(_WARNING, message, args, fields)

    def error(self, message: object, /, *args: object, **fields: object) -> None:
        """Log what failed."""
        self._emit(_ERROR, message, args, fields)

    def critical(self, message: object, /, *args: object, **fields: object) -> None:
        """Log what keeps the program from going on."""
        self._emit(_CRITICAL, message, args, fields)

    def exception(self, message: object, /, *args: object, **fields: object) -> None:
        """Log at ERROR with the traceback of the exception being handled."""
        fields.setdefault("exc_info", True)
        self._emit(_ERROR, message, args, fields)

    def log(self, level: str | int, message: object, /, *args: object, **fields: object) -> None:
        """Log at a level given by name or number.

        Raises:
            LoggingError: There is no such level.
        """
        self._emit(level_number(level), message, args, fields)

    def is_enabled_for(self, level: str | int) -> bool:
        """Tell whether a record of that level would be seen anywhere.

        Raises:
            LoggingError: There is no such level.
        """
        return any(route(self._standard, level_number(level)))

    def _emit(
        self,
        level: int,
        message: object,
        args: tuple[object, ...],
        fields: dict[str, object],
    ) -> None:
        to_loguru, to_standard = route(self._standard, level)
        if not (to_loguru or to_standard):
            return
        exception, depth = None, _DEPTH
        if fields:
            exception, depth = _take_options(fields)
        text = compose(message, args, fields)
        if to_loguru:
            self._to_loguru(level, text, exception, depth, fields)
        if to_standard:
            self._to_standard(level, text, exception, depth, fields)

    def _to_loguru(
        self,
        level: int,
        text: str,
        exception: ExcInfo | None,
        depth: int,
        fields: dict[str, object],
    ) -> None:
        log = self._loguru.bind(**fields) if fields else self._loguru
        log.opt(depth=depth, exception=exception).log(loguru_level(level), text)

    def _to_standard(
        self,
        level: int,
        text: str,
        exception: ExcInfo | None,
        depth: int,
        fields: dict[str, object],
    ) -> None:
        path, line, function, _ = self._standard.findCaller(stacklevel=depth + 1)
        extra = {**current_log_context(), **self._bound, **fields}
        origin = CallSite(path, line, function)
        self._standard.handle(
            standard_record(self._standard, level, text, origin, exception, extra),
        )


@cache
def get_logger(name: str) -> Logger:
    """Return the logger of that name; the same object for the same name.

    It works before and without ``setup_logging``: its records then go where the application's
    own logging takes them, and nowhere if there is none. Asking for it adds no handler.
    """
    return Logger(name)


def _give_name(name: str, record: Record) -> None:
    record["name"] = name


def _take_options(fields: dict[str, object]) -> tuple[ExcInfo | None, int]:
    """Take standard logging's named arguments out of *fields*; return exception and depth."""
    exception = _exception_of(fields.pop("exc_info", None))
    levels = fields.pop("stacklevel", 1)
    depth = _DEPTH + (levels - 1 if isinstance(levels, int) and levels > 1 else 0)
    fields.pop("stack_info", None)
    extra = fields.pop("extra", None)
    if isinstance(extra, dict):
        fields.update((str(key), value) for key, value in extra.items())
    return exception, depth


def _exception_of(exc_info: object) -> ExcInfo | None:
    if isinstance(exc_info, BaseException):
        return type(exc_info), exc_info, exc_info.__traceback__
    if isinstance(exc_info, tuple) and len(exc_info) == len(sys.exc_info()):
        return real_exception(exc_info)
    return real_exception(sys.exc_info()) if exc_info else None
