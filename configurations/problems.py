"""pydantic's errors in plain words: where, what was expected, what was found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from configurations.fields import Expected, suggestion
from configurations.masking import cut, shown
from core.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from configurations.sources import Place

Location = tuple[int | str, ...]


def plain_problems(
    error: ValidationError,
    model: type[BaseModel],
    places: Mapping[tuple[str, ...], Place],
) -> list[Problem]:
    """Return one problem per wrong value, in the order of the keys.

    Args:
        error: What pydantic found wrong with the data of *model*.
        model: The model that the data was meant for.
        places: Where each value came from; one from a variable is named by that variable.
    """
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        where = _where(detail["loc"], places)
        found.setdefault(where, Problem(where, _what(detail, model)))
    return list(found.values())


def path_text(location: Location) -> str:
    """Return ``plugins[0]`` or ``manager.max_tasks`` for a location; odd keys are quoted."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[\w$-]{1,80}", part) else cut(repr(part))
            text += f".{name}" if text else name
    return text


def expectation(field: FieldInfo) -> str:
    """Return what *field* takes, as the words after "expected"."""
    for mark in field.metadata:
        if isinstance(mark, Expected):
            return mark.text
    low, high = (
        next(getattr(mark, bound) for mark in field.metadata if hasattr(mark, bound))
        for bound in ("ge", "le")
    )
    return f"a whole number from {low} to {high}"


def field_at(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """Return the field that *location* leads to, or ``None`` where there is none."""
    owner: object = model
    field = None
    for part in location:
        if not (isinstance(owner, type) and issubclass(owner, BaseModel)):
            return field
        field = owner.model_fields.get(str(part))
        if field is None:
            return None
        owner = field.annotation
    return field


def _where(location: Location, places: Mapping[tuple[str, ...], Place]) -> str:
    for length in (2, 1):
        place = places.get(tuple(str(part) for part in location[:length]))
        if place is not None and place.variable is not None:
            return f"{place.variable} ({place.origin}){path_text(location[length:])}"
    return path_text(location)


def _what(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(model, location)
    if kind == "value_error":
        return str(context["error"])
    got = shown(detail["input"])
    field = field_at(model, location)
    if field is None:
        return f"{detail['msg']}, got {got}"
    if isinstance(location[-1], int):
        return f"expected a text that is not empty, got {got}"
    text = expectation(field)
    if kind == "less_than_equal" and "seconds" in text:
        text = f"at most {context['le']:.0f} seconds"
    return f"expected {text}, got {got}"


def _unknown_key(model: type[BaseModel], location: Location) -> str:
    section = field_at(model, location[:-1])
    owner = section.annotation if section else model
    known = owner.model_fields if isinstance(owner, type) and issubclass(owner, BaseModel) else {}
    hint = suggestion(str(location[-1]), known)
    return f"unknown key{hint}" if hint else f"unknown key; known are {', '.join(sorted(known))}"
