"""How settings are shown: secrets masked, long values cut, in the words of JSON."""

from __future__ import annotations

import math
import re

MASK = "***"
SHOWN_LENGTH = 80
LARGEST_SHOWN_BITS = 256

_NAMES = r"password|passwd|passphrase|pwd|secret|token|api_?key|access_key|signature"
_AFTER_SCHEME = re.compile(r"(://[^:/?#\s]*):.*", re.DOTALL)
_WITHOUT_SCHEME = re.compile(r"^([^:/?#\s]*):.*", re.DOTALL)
_PARAMETER = re.compile(
    rf"({_NAMES})(\s?=\s?|%3D)(?:(?!%3B|%26)[^&;\s#])+",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(rf"(?:^|_)(?:{_NAMES})(?:_|$)", re.IGNORECASE)


def masked_url(url: str) -> str:
    """Return *url* with ``***`` for its password and for parameters such as ``password=``.

    In doubt too much is masked, never too little: everything up to the last ``@`` counts as
    the password. Text that is no URL comes back unchanged unless it looks like one with a
    secret in it.
    """
    pattern = _AFTER_SCHEME if "://" in url else _WITHOUT_SCHEME
    head, at, tail = url.rpartition("@")
    credentials = pattern.sub(rf"\1:{MASK}", head, count=1)
    return _PARAMETER.sub(rf"\1\2{MASK}", f"{credentials}{at}{tail}")


def masked(value: object, name: str = "") -> object:
    """Return *value* as it may be shown: URLs masked, and texts under a secret's name hidden.

    Lists and objects are copied, their parts treated the same way.

    Args:
        value: Any JSON value.
        name: The key that holds it, such as ``jwt_secret`` or ``api_key``.
    """
    if isinstance(value, str):
        return MASK if value and _SECRET_NAME.search(name) else masked_url(value)
    if isinstance(value, dict):
        return {key: masked(part, str(key)) for key, part in value.items()}
    if isinstance(value, list):
        return [masked(part, name) for part in value]
    return value


def shown(value: object) -> str:
    """Return *value* as a problem names it: masked, and never longer than about 80 characters.

    Lists and objects are named by their kind only, since they may hold secrets.
    """
    if isinstance(value, str):
        return cut(repr(masked_url(value)))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _shown_number(value)
    if isinstance(value, list):
        return f"a list of {len(value)} {'item' if len(value) == 1 else 'items'}"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


def cut(text: str) -> str:
    """Return *text*, shortened to 80 characters where it is longer."""
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."


def _shown_number(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > LARGEST_SHOWN_BITS:
        return "a number of very many digits"
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
