"""The JSON form of what tasks return and raise, bounded in size."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any, Final

RESULT_LIMIT: Final = 65_536
ERROR_LIMIT: Final = 4_096
TRACEBACK_LIMIT: Final = 65_536
_EXECUTORS: Final = str(Path(__file__).parents[1] / "executors")


def json_form(value: object) -> Any:  # noqa: ANN401 - JSON is any
    """Return *value* if it is JSON of at most 64 KiB, else ``{"repr": ...}`` of it."""
    try:
        if isinstance(value, str) and len(value) > RESULT_LIMIT:  # the rest is not looked at
            return {"repr": json.dumps(value[:RESULT_LIMIT])[:RESULT_LIMIT], "cut": True}
        text = json.dumps(value, allow_nan=False)
    except Exception:  # noqa: BLE001 - a task's result may change or fail while it is read
        return {"repr": _shown(value, RESULT_LIMIT)}
    if len(text) > RESULT_LIMIT:
        return {"repr": text[:RESULT_LIMIT], "cut": True}
    return json.loads(text)  # the task may go on changing what it returned


def error_text(error: BaseException) -> str:
    """Return the type and message of *error* in one text of at most 4 KiB."""
    name = type(error).__qualname__
    try:
        said = str(error)[:ERROR_LIMIT]
    except Exception as second:  # noqa: BLE001 - a task's error may fail to print itself
        said = f"(its message raised {type(second).__qualname__})"
    return _storable(f"{name}: {said}"[:ERROR_LIMIT] if said else name)


def traceback_text(error: BaseException) -> str:
    """Return the traceback of *error* from the task's own frames on, the end kept if cut."""
    frames = passed = error.__traceback__
    while passed is not None:
        if _EXECUTORS in passed.tb_frame.f_code.co_filename:
            frames = passed.tb_next
        passed = passed.tb_next
    try:
        brief = len(str(error)) <= TRACEBACK_LIMIT  # else each line of it would be copied around
        if not brief:
            return _storable("".join([*traceback.format_tb(frames), error_text(error)]))
        lines = traceback.format_exception(type(error), error, frames)
    except Exception:  # noqa: BLE001 - the same
        lines = traceback.format_tb(frames)
    return _storable("".join(lines)[-TRACEBACK_LIMIT:])


def _storable(text: str) -> str:
    """Return *text* with lone surrogates (of undecodable file names) written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _shown(value: object, limit: int) -> str:
    try:
        return repr(value)[:limit]
    except Exception as error:  # noqa: BLE001 - a task's result may fail to print itself
        return f"<{type(value).__qualname__} whose repr raised {type(error).__qualname__}>"
