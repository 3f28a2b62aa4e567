"""Database URLs with their relative SQLite path made absolute."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SQLITE = re.compile(r"^(sqlite(?:\+\w+)?:///)([^?]+)(.*)$", re.DOTALL)


def anchored_url(url: str, folder: Path) -> str:
    """Return *url* with a relative SQLite path counted from *folder*.

    In-memory databases, ``file:`` URIs, absolute paths and other databases stay as they are.
    """
    match = _SQLITE.match(url)
    if match is None:
        return url
    scheme, path, query = match.groups()
    if path == ":memory:" or path.startswith(("file:", "/")) or PureWindowsPath(path).is_absolute():
        return url
    return f"{scheme}{(folder / path).as_posix()}{query}"
