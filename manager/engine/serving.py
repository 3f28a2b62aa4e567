"""The thread that takes an engine's turns, and the one that sees to it that it lives."""

from __future__ import annotations

import sys
import threading
import traceback
from contextlib import suppress
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Final

from core.errors import LedgerError
from loggers import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.clock import Clock
    from manager.engine.settings import EngineSettings

_log = get_logger("taskrack")
_GLANCE: Final = timedelta(milliseconds=250)
"""How often a ledger that is away is looked at; its gate says how often it is really asked."""
_ROUND: Final = timedelta(seconds=1)
_STUCK: Final = 5.0
"""Seconds after which a turn that has not ended is told, with the place where it is."""


class Serving:
    """Two daemon threads: one takes turns, the other takes its place if it should end.

    No error ends the first: what a turn raises is told, and the next one follows. Should it end
    all the same (out of memory in the wrong place, an exception thrown into it from outside),
    the second starts another within a second, and each looks after the other.

    Args:
        turn: Does everything that is to be done now.
        rest: Tells how long nothing is to be done.
        goes_on: Tells whether there are turns to take.
        cut_off: Hears that a turn ended in the middle.
        wakeup: Ends a rest.
        clock: The time.
        settings: Figures of the engine.

    Attributes:
        trouble: Why the last turn failed, if it did.
        restarts: How often the thread was replaced.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a thread of the engine needs to know
        self,
        turn: Callable[[], None],
        rest: Callable[[], timedelta | None],
        goes_on: Callable[[], bool],
        cut_off: Callable[[], None],
        wakeup: threading.Event,
        clock: Clock,
        settings: EngineSettings,
    ) -> None:
        self._turn = turn
        self._rest = rest
        self._goes_on = goes_on
        self._cut_off = cut_off
        self._wakeup = wakeup
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: Thread | None = None
        self._warden: Thread | None = None
        self._turning_since: float | None = None
        self._told_since: float | None = None
        self._stumbled = False
        self.trouble: str | None = None
        self.restarts = 0

    def start(self) -> None:
        """Begin to take turns."""
        self._replace_dead()

    def end(self, limit: timedelta) -> None:
        """Let both threads end, and wait for the one that takes turns unless it is the caller."""
        self._ended.set()
        self._wakeup.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, limit.total_seconds()))

    def _replace_dead(self) -> None:
        """Start what does not live; called by either thread for the other."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                if self._thread is not None:
                    self.restarts += 1
                    self._cut_off()
                    _log.critical("the engine's thread ended; another takes its place")
                self._thread = self._started(self._serve, "taskrack-engine")
            if self._warden is None or not self._warden.is_alive():
                self._warden = self._started(self._watch, "taskrack-warden")

    @staticmethod
    def _started(target: Callable[[], None], name: str) -> Thread:
        thread = Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def _serve(self) -> None:
        while self._goes_on():
            try:
                self._pause()
                self._turning_since = self._clock.monotonic()
                self._turn()
                self._look_after_warden()
            except LedgerError as error:
                self._suffer(str(error))
            except BaseException as error:  # noqa: BLE001 - the top of the engine's thread: it never ends
                self._stumble(error)
            else:
                self._recovered()
            self._turning_since = None

    def _look_after_warden(self) -> None:
        warden = self._warden
        if warden is not None and not warden.is_alive() and not self._ended.is_set():
            self._replace_dead()

    def _pause(self) -> None:
        pause = self._settings.sweep
        if self._stumbled:
            pause = self._settings.backoff
        elif self.trouble is not None:
            pause = min(self._settings.backoff, _GLANCE)
        else:
            rest = self._rest()
            pause = pause if rest is None else min(pause, rest)
        if pause > timedelta(0):
            wakeup = threading.Event() if self._stumbled else self._wakeup
            self._clock.wait(wakeup, pause)

    def _suffer(self, trouble: str) -> None:
        if self.trouble is None:
            _log.error("no run starts, outcomes wait: %s", trouble)
        self.trouble = trouble

    def _stumble(self, error: BaseException) -> None:
        """Tell of an error that nobody expected, each only once, whatever telling it raises."""
        with suppress(BaseException):
            self._stumbled = True
            self._cut_off()
            text = f"{type(error).__name__}: {error}"
            if self.trouble != text:
                self.trouble = text
                _log.exception("the engine stumbled and goes on: %s", text)

    def _recovered(self) -> None:
        if self.trouble is not None:
            if not self._stumbled:
                _log.info("the ledger takes writes again")
            self.trouble = None
        self._stumbled = False

    def _watch(self) -> None:
        while not self._ended.is_set():
            with suppress(BaseException):  # out of threads or memory: the next round tries again
                self._clock.wait(self._ended, _ROUND)
                if self._goes_on() and not self._ended.is_set():
                    self._replace_dead()
                    self._tell_stuck()

    def _tell_stuck(self) -> None:
        """Tell once of a turn that does not end, with the place where it is."""
        since, thread = self._turning_since, self._thread
        if since is None or since == self._told_since or thread is None:
            return
        if self._clock.monotonic() - since < _STUCK or thread.ident is None:
            return
        self._told_since = since
        frame = sys._current_frames().get(thread.ident)  # noqa: SLF001 - the documented way to see it
        place = "".join(traceback.format_stack(frame)[-4:]) if frame is not None else "unknown\n"
        _log.error("a turn of the engine has not ended for %g s; it is at\n%s", _STUCK, place)
