"""What every line inside a run carries: the task, the run and the attempt."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from loguru import logger as loguru_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NOTHING: Final[Mapping[str, str | int]] = MappingProxyType({})
_CURRENT: Final[ContextVar[Mapping[str, str | int]]] = ContextVar(
    "taskrack_log_context",
    default=_NOTHING,
)


@contextmanager
def log_context(
    *,
    task_id: str | None = None,
    run_id: str | None = None,
    attempt: int | None = None,
) -> Iterator[None]:
    """Put task, run and attempt on every line that is logged inside the block.

    That holds for ``get_logger``, for loguru used directly, and for standard logging where
    ``setup_logging`` owns the sinks: ``record["extra"]`` on loguru's side, attributes of the
    ``LogRecord`` on the other. The context follows ``await`` and ``asyncio.to_thread``; code in
    another thread has it when it runs through ``contextvars.copy_context().run``. Blocks nest:
    what the inner one leaves out is taken from the outer one.

    Args:
        task_id: Id of the task.
        run_id: Id of the run.
        attempt: 1-based number of the attempt.
    """
    given = {"task_id": task_id, "run_id": run_id, "attempt": attempt}
    bound = {key: value for key, value in given.items() if value is not None}
    token = _CURRENT.set(MappingProxyType({**_CURRENT.get(), **bound}))
    try:
        with loguru_logger.contextualize(**bound):
            yield
    finally:
        _CURRENT.reset(token)


def current_log_context() -> Mapping[str, str | int]:
    """Return what ``log_context`` has bound here, read-only; only bound keys are present."""
    return _CURRENT.get()
