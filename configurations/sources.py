"""Settings from variables: which variable means which key, and what its text stands for."""

from __future__ import annotations

import io
import json
import os
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Union, get_origin

from pydantic import BaseModel

from configurations.fields import plain, suggestion
from core.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PREFIX = "TASKRACK_"
LOCATION_VARIABLE = "TASKRACK_CONFIG"
GATES = ("BACKGROUND_JOBS_ENABLED", "BACKGROUND_TASKS")
ENVIRONMENT = "environment"
DOTENV = ".env"

_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_LOOKALIKE = 0.85


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was set.

    Attributes:
        origin: The file's name, ``.env`` or ``environment``.
        variable: The variable that held the value; ``None`` for a file's key.
    """

    origin: str
    variable: str | None = None

    def __str__(self) -> str:
        named = self.variable is not None and self.origin == ENVIRONMENT
        return f"{self.origin} {self.variable}" if named else self.origin


@dataclass(frozen=True, slots=True)
class Layer:
    """The variables of one origin; a later layer wins over an earlier one."""

    origin: str
    variables: Mapping[str, str]


KeyPath = tuple[str, ...]


def layers(folder: Path) -> tuple[list[Layer], list[Problem]]:
    """Read the variables of *folder*'s ``.env`` and of the process, the weaker first."""
    found: list[Layer] = []
    problems: list[Problem] = []
    dotenv = folder / DOTENV
    try:
        text = dotenv.read_text(encoding="utf-8-sig") if dotenv.is_file() else ""
    except UnicodeDecodeError as error:
        problems.append(Problem(DOTENV, f"is no UTF-8 text (byte {error.start})"))
    except OSError as error:
        problems.append(Problem(DOTENV, f"cannot be read: {error.strerror}"))
    else:
        found.append(Layer(DOTENV, _dotenv_variables(text)))
    found.append(Layer(ENVIRONMENT, dict(os.environ)))
    return found, problems


def overlay(
    data: dict[str, Any],
    found: list[Layer],
    model: type[BaseModel],
) -> tuple[dict[KeyPath, Place], list[Problem]]:
    """Put the variables' values into *data*, over what is there.

    Returns:
        The place of each value that was put, and one problem per variable that addresses a
        section of ours and means no key of it.
    """
    addresses = _addresses(model)
    places: dict[KeyPath, Place] = {}
    problems: list[Problem] = []
    for layer in found:
        for variable, rest in _ours(layer.variables):
            path = addresses.get(rest)
            if path is None:
                problems.extend(_misnamed(f"{variable} ({layer.origin})", rest, model, addresses))
            elif _put(data, path, layer.variables[variable], model):
                places[path] = Place(layer.origin, variable)
    return places, problems


def from_text(text: str, annotation: Any) -> object:  # noqa: ANN401 - any annotation of a field
    """Return what *text* stands for where *annotation* is wanted; itself where nothing fits."""
    if get_origin(annotation) in (Union, types.UnionType) and text.lower() in ("", "null"):
        return None
    if annotation is bool:
        return _FLAGS.get(text.strip().lower(), text)
    read = _READERS.get(get_origin(annotation) or annotation, str)
    try:
        return read(text)
    except (ValueError, RecursionError):
        return text


def _dotenv_variables(text: str) -> dict[str, str]:
    if not text:
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - 20 ms that a start without .env saves

    values = dotenv_values(stream=io.StringIO(text))
    return {name: value or "" for name, value in values.items()}


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _number(text: str) -> float:
    return plain(float(text))


def _json(text: str) -> object:
    return json.loads(text, parse_constant=_refuse)


_READERS: Mapping[object, Callable[[str], object]] = {
    int: int,
    float: _number,
    list: _json,
    dict: _json,
}


def _addresses(model: type[BaseModel]) -> dict[str, KeyPath]:
    found: dict[str, KeyPath] = {}
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            found |= {f"{name}__{key}": (name, key) for key in section.model_fields}
        else:
            found[name] = (name,)
    return found


def _ours(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each variable that may be ours with its address; what wins comes last."""
    ranked = sorted(
        variables,
        key=lambda name: (name.upper().startswith(PREFIX), name.isupper(), name),
    )
    for name in ranked:
        upper = name.upper()
        if upper in GATES:
            yield name, upper.lower()
        elif upper.startswith(PREFIX) and upper != LOCATION_VARIABLE:
            yield name, upper.removeprefix(PREFIX).lower()


def _put(data: dict[str, Any], path: KeyPath, text: str, model: type[BaseModel]) -> bool:
    """Set the value at *path*; false where the file has something else than a section there."""
    owner, fields = data, model.model_fields
    for name in path[:-1]:
        owner = owner.setdefault(name, {})
        section = fields[name].annotation
        if not isinstance(owner, dict) or section is None:
            return False
        fields = section.model_fields
    owner[path[-1]] = from_text(text, fields[path[-1]].annotation)
    return True


def _misnamed(
    where: str,
    rest: str,
    model: type[BaseModel],
    addresses: Mapping[str, KeyPath],
) -> Iterator[Problem]:
    names = [f"{PREFIX}{address.upper()}" for address in addresses]
    section = rest.partition("__")[0]
    if rest in model.model_fields:
        example = next(name for name in names if f"{PREFIX}{rest.upper()}__" in name)
        yield Problem(where, f"names a whole section; set its keys one by one, such as {example}")
    elif section in model.model_fields and "__" in rest:
        hint = suggestion(f"{PREFIX}{rest}", names)
        yield Problem(where, f"unknown variable{hint}")
    elif hint := suggestion(f"{PREFIX}{rest}", names, cutoff=_LOOKALIKE):
        yield Problem(where, f"unknown variable{hint}")
