"""The kinds of value that settings take: their checks, and their words in a problem."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, Strict, StringConstraints

from configurations.masking import SHOWN_LENGTH, shown

DAY_SECONDS = 86_400
_FAILURES = 1_000
YEAR_SECONDS = 365 * DAY_SECONDS
BREAKER = 'an object such as {"failures": 10, "pause": 60}, or {} for none'
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

LOG_LEVEL_PATTERN = "^({})$".format(
    "|".join("".join(f"[{upper}{upper.lower()}]" for upper in level) for level in LOG_LEVELS),
)
DATABASE_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*(\+[A-Za-z0-9_]+)?://"
WEB_PATTERN = r"^[Hh][Tt][Tt][Pp][Ss]?://[^/\s]\S*$"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a key takes: the words that follow "expected" in a problem."""

    text: str


def suggestion(name: str, options: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``, did you mean '...'?`` for the option closest to *name*, or an empty text."""
    if len(name) > SHOWN_LENGTH:
        return ""
    by_lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return f", did you mean {by_lower[close[0]]!r}?" if close else ""


def whole(value: object) -> object:
    """Return 50 for 50.0, which is the same number in JSON; anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain(value: float) -> float:
    """Return 300 for 300.0, so that a file and a text show what a person would write."""
    return int(value) if value.is_integer() else value


def known_log_level(value: str) -> str:
    """Return the level in upper case."""
    level = value.upper()
    if level not in LOG_LEVELS:
        raise ValueError(
            f"expected DEBUG, INFO, WARNING, ERROR or CRITICAL, got {shown(value)}"
            f"{suggestion(value, LOG_LEVELS)}",
        )
    return level


def known_timezone(value: str) -> str:
    """Return the name, if the zone database has it."""
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError):
        zones = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
        cities = {zone.rpartition("/")[2].lower(): zone for zone in zones}
        city = cities.get(value.lower())
        places = ["UTC", *(zone for zone in zones if "/" in zone)]  # for CEST, EST is a wrong guess
        hint = f", did you mean {city!r}?" if city else suggestion(value, places)
        raise ValueError(
            f"expected an IANA time zone such as 'Europe/Berlin', got {shown(value)}{hint}",
        ) from None
    return value


def database_address(value: str) -> str:
    """Return the URL, if it has the form of one."""
    if not re.match(DATABASE_PATTERN, value):
        raise ValueError(
            "expected a database URL such as 'sqlite:///./taskrack.db' or "
            f"'postgresql://user@host/name', got {shown(value)}",
        )
    return value


def breaker_form(value: dict[str, object]) -> dict[str, object]:
    """Return the settings of a breaker, if they are that, or nothing."""
    failures, pause = whole(value.get("failures")), value.get("pause")
    numbers = isinstance(failures, int) and isinstance(pause, int | float)
    flags = isinstance(failures, bool) or isinstance(pause, bool)
    if not value:
        return {}
    if flags or not numbers or set(value) != {"failures", "pause"}:
        raise ValueError(f"expected {BREAKER}, got {shown(value)}")
    if not (1 <= failures <= _FAILURES and 0 < pause <= DAY_SECONDS):  # type: ignore[operator]
        limits = "failures from 1 to 1000, and seconds above 0 and at most 86400"
        raise ValueError(f"expected {limits}, got {shown(value)}")
    return {"failures": failures, "pause": pause}


Flag = Annotated[bool, Strict(), Expected("true or false")]
Whole = Annotated[int, BeforeValidator(whole), Strict()]
Seconds = Annotated[
    float,
    Strict(),
    Field(gt=0, allow_inf_nan=False),
    AfterValidator(plain),
    Expected("a number of seconds above 0"),
]
SecondsOrNone = Annotated[
    float,
    Strict(),
    Field(ge=0, allow_inf_nan=False),
    AfterValidator(plain),
    Expected("a number of seconds of at least 0"),
]
Text = Annotated[
    str,
    Strict(),
    StringConstraints(min_length=1, max_length=200),
    Expected("a text of 1 to 200 characters"),
]
FilePath = Annotated[
    str,
    Strict(),
    StringConstraints(pattern=r"^[^\x00]+$"),
    Expected("a path, relative to the folder of config.json or absolute"),
]
OptionalFilePath = Annotated[
    Annotated[str, Strict(), StringConstraints(pattern=r"^[^\x00]+$")] | None,
    Expected("a path, relative to the folder of config.json or absolute, or null"),
]
LogLevel = Annotated[
    str,
    Strict(),
    AfterValidator(known_log_level),
    Field(json_schema_extra={"anyOf": [{"enum": [*LOG_LEVELS]}, {"pattern": LOG_LEVEL_PATTERN}]}),
    Expected("DEBUG, INFO, WARNING, ERROR or CRITICAL"),
]
OptionalLogLevel = Annotated[
    LogLevel | None, Expected("DEBUG, INFO, WARNING, ERROR, CRITICAL or null")
]
TimeZone = Annotated[
    str,
    Strict(),
    AfterValidator(known_timezone),
    Expected("an IANA time zone such as 'Europe/Berlin'"),
]
DatabaseUrl = Annotated[
    str,
    Strict(),
    AfterValidator(database_address),
    Field(json_schema_extra={"pattern": DATABASE_PATTERN}),
    Expected("a database URL such as 'sqlite:///./taskrack.db'"),
]
OptionalWebUrl = Annotated[
    Annotated[str, Strict(), StringConstraints(pattern=WEB_PATTERN)] | None,
    Expected("an http or https URL, or null"),
]
Synchronous = Annotated[Literal["full", "normal"], Expected("'full' or 'normal'")]
OptionalWhole = Annotated[Whole | None, Expected("a whole number, or null")]
OptionalSeconds = Annotated[
    Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False), AfterValidator(plain)] | None,
    Expected("a number of seconds above 0, or null"),
]
OptionalIsolation = Annotated[Literal["process"] | None, Expected("'process', or null")]
Share = Annotated[
    float,
    Strict(),
    Field(ge=0, le=1, allow_inf_nan=False),
    AfterValidator(plain),
    Expected("a number from 0 to 1"),
]
BreakerForm = Annotated[
    dict[str, Any],
    AfterValidator(breaker_form),
    Expected(BREAKER),
]
PluginNames = Annotated[
    list[Annotated[str, Strict(), StringConstraints(min_length=1)]],
    Expected('a list of plugin names such as ["acme"]'),
]
