"""config.json on disk: read with every fault named by its place, written whole or not at all."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configurations.masking import masked, shown
from configurations.problems import path_text
from core.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from pathlib import Path

DEEPEST = 100

_EXPECTED = {
    "Expecting property name enclosed in double quotes": "a key in double quotes",
    "Expecting ':' delimiter": "a colon after the key",
    "Expecting ',' delimiter": "a comma or a closing bracket",
    "Expecting value": "a value",
    "Extra data": "the end of the file",
    "Illegal trailing comma before end of object": "no comma before a closing bracket",
    "Illegal trailing comma before end of array": "no comma before a closing bracket",
    "Unterminated string starting at": "a closing double quote for the text that starts here",
    "Invalid control character at": "no line break or control character inside a text",
}
_HINTS = {
    "'": "JSON puts keys and texts in double quotes, not in single ones",
    "/": "JSON has no comments, remove it",
    "#": "JSON has no comments, remove it",
    "T": "JSON writes true in lower case",
    "F": "JSON writes false in lower case",
    "N": "JSON writes null for None",
}


@dataclass(frozen=True, slots=True)
class Document:
    """The object that a file holds, and what is wrong with it as JSON."""

    data: dict[str, Any]
    problems: list[Problem]


def read_json(path: Path) -> Document:
    """Read the JSON object in the file at *path*; a byte order mark is skipped.

    Raises:
        ConfigurationError: There is no such file, it cannot be read, or it is no JSON object.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    except IsADirectoryError:
        raise _unusable(path, "is a folder; name the file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _unusable(path, f"cannot be read: {reason}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unusable(path, f"is no UTF-8 text (byte {error.start}); save it as UTF-8") from None
    return parse(text, path)


def missing(path: Path, where: str = "") -> ConfigurationError:
    """Return the error for a file that was asked for, by *where*, and is not there."""
    problem = Problem(where, "there is no such file; 'taskrack init' makes one")
    return ConfigurationError(str(path), [problem])


def parse(text: str, path: Path) -> Document:
    """Return the JSON object in *text*, which was read from *path*.

    Keys that are there twice and numbers that are not finite are problems of the document.

    Raises:
        ConfigurationError: *text* is no JSON object, or nests deeper than 100 levels.
    """
    repeated: list[tuple[dict[str, Any], list[str]]] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.append((made, [name for name in made if names.count(name) > 1]))
        return made

    try:
        value = json.loads(text, object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise ConfigurationError(str(path), [_broken(error, path)]) from None
    except ValueError:
        raise _unusable(path, "holds a number of very many digits") from None
    except RecursionError:
        raise _unusable(path, f"nests deeper than {DEEPEST} levels") from None
    if not isinstance(value, dict):
        raise _unusable(path, f"expected an object in braces, got {shown(value)}")
    return Document(value, _faults(value, repeated, path))


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write *data* to the file at *path* in one step: whole, or not at all.

    A file that holds a secret is readable for its owner only; another keeps the mode it had.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    try:
        content = text.encode()
    except UnicodeEncodeError:
        content = (json.dumps(data, indent=2) + "\n").encode()
    secret = masked(data) != data
    try:
        _replace(path.resolve(), content, secret=secret)
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from error


def _replace(target: Path, content: bytes, *, secret: bool) -> None:
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    mode = 0o600 if secret else 0o666
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists() and not secret:
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _faults(
    value: dict[str, Any],
    repeated: list[tuple[dict[str, Any], list[str]]],
    path: Path,
) -> list[Problem]:
    """Walk *value* once, without recursion, for what the JSON parser lets through."""
    names = {id(made): again for made, again in repeated}
    problems: list[Problem] = []
    waiting: list[tuple[tuple[int | str, ...], Any]] = [((), value)]
    while waiting:
        location, part = waiting.pop()
        if len(location) > DEEPEST:
            raise _unusable(path, f"nests deeper than {DEEPEST} levels")
        if isinstance(part, float) and not math.isfinite(part):
            problems.append(
                Problem(path_text(location), f"expected a finite number, got {shown(part)}")
            )
        elif isinstance(part, dict):
            problems.extend(
                Problem(path_text((*location, name)), "the key is there twice, remove one")
                for name in names.get(id(part), ())
            )
            waiting.extend(((*location, key), item) for key, item in reversed(part.items()))
        elif isinstance(part, list):
            numbered = reversed(list(enumerate(part)))
            waiting.extend(((*location, index), item) for index, item in numbered)
    return problems


def _unusable(path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(str(path), [Problem("", reason)])


def _broken(error: json.JSONDecodeError, path: Path) -> Problem:
    where = f"{path.name}:{error.lineno}:{error.colno}"
    if not error.doc.strip():
        return Problem(where, "the file is empty; the least that it can hold is {}")
    expected = _EXPECTED.get(error.msg, f"valid JSON ({error.msg})")
    found = error.doc[error.pos : error.pos + 1]
    got = f"got {found!r}" if found else "got the end of the file"
    hint = _hint(error, found)
    return Problem(where, f"expected {expected}, {got}{f'; {hint}' if hint else ''}")


def _hint(error: json.JSONDecodeError, found: str) -> str:
    before = error.doc[: error.pos].rstrip()[-1:]
    if "trailing comma" in error.msg or (found in ("}", "]") and before == ","):
        return "remove the trailing comma"
    if error.msg == "Expecting ',' delimiter" and found == '"':
        return "a comma is missing before it"
    if error.msg.startswith("Expecting property name") and (found.isalpha() or found == "_"):
        return "put the key in double quotes"
    if error.msg.startswith("Invalid \\"):
        return "write a backslash as \\\\"
    return _HINTS.get(found, "")
