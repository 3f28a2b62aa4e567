"""A limit on how long a call may hold up its caller."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta


def within(limit: timedelta, call: Callable[[], object], name: str) -> bool:
    """Make *call* in a daemon thread and wait for its end; tell whether it came within *limit*.

    A call that is stuck is left to its thread, which never holds the interpreter. Where no
    thread can be started any more, because the interpreter ends, it is made here.

    Raises:
        BaseException: what *call* raised.
    """
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was asked for
            raised.append(error)

    thread = Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        work()
    else:
        thread.join(max(0.0, limit.total_seconds()))
    if raised:
        raise raised[0]
    return not thread.is_alive()
