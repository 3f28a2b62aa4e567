"""The levels by name and number, and what is said about an unknown one."""

from __future__ import annotations

from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from loguru import logger as loguru_logger

from core.errors import LoggingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "TRACE": 5,
        "DEBUG": 10,
        "INFO": 20,
        "SUCCESS": 25,
        "WARNING": 30,
        "ERROR": 40,
        "CRITICAL": 50,
    },
)
_ALIASES: Final[Mapping[str, str]] = MappingProxyType({"WARN": "WARNING", "FATAL": "CRITICAL"})
_NAMES: Final[Mapping[int, str]] = MappingProxyType({no: name for name, no in LEVELS.items()})


def level_name(number: int) -> str:
    """Return the name of a level, ``Level 15`` where it has none."""
    return _NAMES.get(number, f"Level {number}")


def loguru_level(number: int) -> str | int:
    """Return what loguru knows the level by: its name where it has one."""
    return _NAMES.get(number, number)


def level_number(level: object) -> int:
    """Return the number of a level.

    Args:
        level: A name in any case, ``WARN`` and ``FATAL`` included, a name that the application
            gave to loguru, or a number of zero or more.

    Raises:
        LoggingError: There is no such level.
    """
    if isinstance(level, bool) or not isinstance(level, str | int):
        raise LoggingError(f"expected the name or number of a level, got {level!r}")
    if isinstance(level, int):
        if level < 0:
            raise LoggingError(f"expected a level of zero or more, got {level}")
        return level
    name = level.strip().upper()
    number = LEVELS.get(_ALIASES.get(name, name))
    if number is not None:
        return number
    try:
        return loguru_logger.level(level).no
    except ValueError:
        raise LoggingError(unknown("level", level, LEVELS, key=name)) from None


def unknown(noun: str, found: str, known: Iterable[str], *, key: str) -> str:
    """Say that *found* is none of *known*, and which one *key* comes closest to."""
    names = list(known)
    close = get_close_matches(key, names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    return f"unknown {noun} {found!r}{hint} Known {noun}s: {', '.join(names)}."
