"""Public holidays, where the ``holidays`` package is installed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from configurations.masking import shown
from core.errors import Problem, TriggerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date


@lru_cache(64)
def _calendar(country: str, subdivision: str | None) -> Any:  # noqa: ANN401 - a mapping by date
    from holidays import country_holidays  # noqa: PLC0415 - an extra

    return country_holidays(country, subdiv=subdivision)


def public_holidays(country: object, subdivision: object = None) -> Callable[[date], bool]:
    """Return a test whether a date is a public holiday there.

    Args:
        country: Its code in ISO 3166, such as ``DE``.
        subdivision: Code of a part of it, such as ``BY``; ``None`` for what holds everywhere.

    Raises:
        TriggerError: the country is not known, or the package is not installed.
    """
    place = shown(country) if subdivision is None else f"{shown(country)}, {shown(subdivision)}"
    part = "" if subdivision is None else ", and a subdivision of it"
    unknown = f"expected a country such as 'DE' that 'holidays' knows{part}, got {place}"
    if not isinstance(country, str) or not isinstance(subdivision, str | None):
        raise _refusal(unknown)
    try:
        found = _calendar(country, subdivision)
    except ImportError:
        text = "public holidays need the package 'holidays': pip install 'taskrack[holidays]'"
        raise _refusal(text) from None
    except NotImplementedError:  # what the package raises for a place that it does not know
        raise _refusal(unknown) from None
    return lambda day: day in found


def _refusal(text: str) -> TriggerError:
    return TriggerError("exclude", [Problem("exclude.holidays", text)])
