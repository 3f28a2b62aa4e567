"""What the database says is wrong, in words that say what to do."""

from __future__ import annotations

from typing import Final

_HINTS: Final = (
    ("readonly", "it is read-only; make the file and its folder writable"),
    ("unable to open", "it cannot be opened; check that its folder exists and is writable"),
    ("locked", "another process holds it locked; stop that process, or wait"),
    ("malformed", "the file is damaged; restore a backup, or move it away to start anew"),
    ("not a database", "the file is not a SQLite database; name another file"),
    ("full", "the disk is full; make room"),
    ("disk i/o", "the disk failed; check it"),
)


def explained(error: Exception) -> str:
    """Return what to do about *error* of the driver or of SQLAlchemy, with its own words."""
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    for sign, hint in _HINTS:
        if sign in said.lower():
            return f"{hint} ({said})"
    return said
