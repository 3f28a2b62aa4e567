"""What ``setup_logging`` was asked for, from its arguments and the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import LoggingError, Problem
from loggers.levels import level_number, unknown
from loggers.sinks import FileSettings


class _Default(str):
    """A default that can be told from the same text given by the caller."""

    __slots__ = ()


DEFAULT_LEVEL: Final = _Default("INFO")
_FORMATS: Final = ("colored", "plain", "json")


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be installed: checked, and with the environment already in it.

    Attributes:
        level: Number of the lowest level shown.
        json: JSON lines instead of text.
        colors: Colours on the console, where it is a terminal.
        file: The log file, or None.
    """

    level: int
    json: bool
    colors: bool
    file: FileSettings | None


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a call as they came; ``setup_logging`` says what they mean."""

    level: object
    file: object
    max_bytes: object
    backup_count: object
    colors: bool
    format: object


def read_settings(given: Given) -> Settings:
    """Return the settings that arguments and environment ask for; nothing is opened.

    Raises:
        LoggingError: It names every problem at once.
    """
    problems: list[Problem] = []
    level = _read_level(given.level, problems)
    style = _read_format(given.format, problems)
    path = _read_path(given.file, problems)
    max_bytes = _read_count("max_bytes", "bytes", given.max_bytes, problems)
    backups = _read_count("backup_count", "files", given.backup_count, problems)
    if problems:
        noun = "problem" if len(problems) == 1 else "problems"
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise LoggingError(f"setup_logging has {len(problems)} {noun}:{lines}")
    json = style == "json"
    colored = given.colors and style == "colored" and not os.environ.get("NO_COLOR")
    file = None if path is None else FileSettings(path, max_bytes, backups, json)
    return Settings(level, json, colored, file)


def _read_level(given: object, problems: list[Problem]) -> int:
    where, value = "log_level", given
    if given is None or given is DEFAULT_LEVEL:
        where, value = _from_environment("log_level", "LOG_LEVEL", str(DEFAULT_LEVEL))
    try:
        return level_number(value)
    except LoggingError as error:
        problems.append(Problem(where, str(error)))
        return 0


def _read_format(given: object, problems: list[Problem]) -> str:
    where, value = "log_format", given
    if value is None:
        where, value = _from_environment("log_format", "LOG_FORMAT", "colored")
    style = str(value).strip().lower()
    if style not in _FORMATS:
        problems.append(Problem(where, unknown("format", str(value), _FORMATS, key=style)))
    return style


def _read_path(given: object, problems: list[Problem]) -> Path | None:
    where, value = "log_file", given
    if value is None:
        where, value = _from_environment("log_file", "LOG_FILE", "")
    if not isinstance(value, str | os.PathLike) or "\0" in str(value):
        problems.append(Problem(where, f"expected the path of a file, got {value!r}"))
        return None
    if not str(value):
        return None
    try:
        # Made absolute now, so that a task that changes the folder does not move the log.
        return Path(value).expanduser().absolute()
    except RuntimeError:
        problems.append(Problem(where, f"nobody's home folder is known for {str(value)!r}"))
        return None


def _read_count(where: str, unit: str, given: object, problems: list[Problem]) -> int:
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    problems.append(
        Problem(where, f"expected a whole number of {unit}, zero or more, got {given!r}"),
    )
    return 0


def _from_environment(argument: str, variable: str, default: str) -> tuple[str, str]:
    """Return where the value is from, and the value."""
    found = os.environ.get(variable, "").strip()
    return (f"environment variable {variable}", found) if found else (argument, default)
