"""Functions in child processes, which can be killed with everything that they started."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from core.definition import path_of
from core.errors import StateError
from core.isolation import UNLIMITED
from core.records import Fault, Outcome, PoolFigures
from core.run import Reason, RunState
from loggers import get_logger, log_context
from loggers.forwarding import lowest_level, relay
from manager.executors.children.kernel import CAN_FORK, IS_LINUX
from manager.executors.children.supervision import Supervision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.isolation import ResourceLimits
    from core.records import Call
    from manager.executors.children.wire import Message

_log = get_logger("taskrack")
ARGUMENT_LIMIT: Final = 262_144
"""Bytes of a call's arguments as JSON."""
_NAMES: Final = 1_000


@dataclass(slots=True)
class _Sent:
    """A call that was given to the supervisor."""

    call: Call
    name: str
    leaked: bool = False
    asked: bool = False


class ProcessExecutor:
    """Calls functions in up to *size* warm child processes.

    A call that is interrupted gets SIGTERM, and SIGKILL where it goes on; what it started goes
    with it. Arguments and results travel as JSON, exceptions as text.

    Args:
        size: Most calls at once.
        setup: Gives what the processes need to know at their start, as JSON values.
        limits: What a call may use whose definition does not say.
        is_needed: Tells at the start whether there are isolated tasks; else the processes are
            started with the first call.
    """

    lane = "process"

    def __init__(
        self,
        size: int,
        setup: Callable[[], Mapping[str, Any]],
        limits: ResourceLimits = UNLIMITED,
        is_needed: Callable[[], bool] = bool,
    ) -> None:
        self._size = size
        self._limits = limits
        self._is_needed = is_needed
        self._lock = threading.Lock()
        self._ids = count(1)
        self._sent: dict[int, _Sent] = {}
        self._names: set[str] = set()
        self._supervision = Supervision(setup, self._heard, self._lost)
        self._done: Callable[[Call, Outcome], None] | None = None

    @property
    def supervisor(self) -> int | None:
        """The process id of the supervisor, while there is one."""
        return self._supervision.pid

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        """Get ready; processes are started now only if they are needed."""
        self._done = done
        if self._is_needed() and CAN_FORK:
            if not IS_LINUX:
                _log.warning(
                    "isolated tasks: this system cannot find a process that detached itself from "
                    "the one that started it; such a process outlives its run"
                )
            self._supervision.warm_up()

    def free(self) -> int:
        """Return how many calls could be submitted now; none while no supervisor stays alive."""
        if self._supervision.is_troubled:
            return 0
        with self._lock:
            return max(0, self._size - len(self._sent))

    def submit(self, call: Call) -> None:
        """Call the function in a process.

        Raises:
            StateError: the system has none, or the arguments cannot travel.
        """
        if not CAN_FORK:
            raise StateError("isolation 'process' needs fork(), which this system does not have")
        message = self._message(call)
        with self._lock:
            number = next(self._ids)
            name = call.task_id if call.definition is None else call.definition.plugin
            self._sent[number] = _Sent(call, name)
        self._supervision.order(message | {"id": number})
        if call.hear is not None:
            call.hear(lambda: self._tell(number, "stop"))

    def interrupt(self, run_id: str) -> bool:
        """Ask the call of *run_id* to end; its process is killed if it does not."""
        found = self._find(run_id)
        if found is None:
            return False
        number, sent = found
        sent.asked = True
        self._tell(number, "end")
        return True

    def abandon(self, run_id: str) -> None:
        """Kill the call of *run_id*; it is counted as leaked until its process is gone."""
        found = self._find(run_id)
        if found is not None:
            number, sent = found
            sent.leaked = sent.asked = True
            self._tell(number, "kill")

    def figures(self) -> PoolFigures:
        """Return how full it is."""
        with self._lock:
            leaked = tuple(sorted(each.call.task_id for each in self._sent.values() if each.leaked))
            busy = len(self._sent) - len(leaked)
            return PoolFigures(lane=self.lane, size=self._size, busy=busy, leaked=leaked)

    def stop(self) -> None:
        """End every process; when this returns, none is left."""
        self._supervision.stop()

    def _message(self, call: Call) -> dict[str, Any]:
        """Return *call* as it travels.

        Raises:
            StateError: its arguments are no JSON, or too long.
        """
        given = {"args": list(call.args), "kwargs": dict(call.kwargs)}
        try:
            size = len(json.dumps(given, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise StateError(
                f"arguments of an isolated call are JSON values, got others ({error})"
            ) from None
        if size > ARGUMENT_LIMIT:
            raise StateError(
                f"arguments of an isolated call have at most {ARGUMENT_LIMIT} bytes as JSON, got "
                f"{size}; pass the name of a file or the key of a row instead"
            )
        definition, due = call.definition, call.scheduled_for
        own = UNLIMITED if definition is None else definition.limits
        limits = own.over(self._limits)
        return {
            "kind": "call",
            **given,
            "run_id": call.run_id,
            "task_id": call.task_id,
            "token": call.token,
            "attempt": call.attempt,
            "scheduled_for": None if due is None else due.isoformat(),
            "plugin": call.task_id if definition is None else definition.plugin,
            "path": path_of(call.func),
            "called": definition is None or definition.called,
            "level": lowest_level(),
            "limits": {"memory_mb": limits.memory_mb, "cpu_seconds": limits.cpu_seconds},
        }

    def _find(self, run_id: str) -> tuple[int, _Sent] | None:
        """Return the call of a run that was not given up."""
        with self._lock:
            for number, sent in self._sent.items():
                if sent.call.run_id == run_id and not sent.leaked:
                    return number, sent
        return None

    def _tell(self, number: int, kind: str) -> None:
        with self._lock:
            known = number in self._sent
        if known:
            self._supervision.order({"kind": kind, "id": number})

    def _heard(self, message: Message) -> None:
        """Take what the supervisor says of a call."""
        number = message.get("id")
        with self._lock:
            sent = self._sent.get(number) if isinstance(number, int) else None
            if sent is None:
                return
            if message["kind"] != "log":
                del self._sent[message["id"]]
        if message["kind"] == "log":
            self._relay(sent, message)
        else:
            self._end(sent, _outcome(message))

    def _relay(self, sent: _Sent, record: Message) -> None:
        """Log what a call has logged or printed, with its run on the line."""
        call, name = sent.call, str(record.get("name") or sent.name)[:200]
        if name not in self._names:
            if len(self._names) >= _NAMES:
                name = sent.name
            self._names.add(name)
        with log_context(task_id=call.task_id, run_id=call.run_id, attempt=call.attempt):
            relay(record, name)

    def _lost(self, text: str, ready: bool) -> None:
        """End every call: the supervisor, and so their processes, are gone."""
        with self._lock:
            sent, self._sent = list(self._sent.values()), {}
        for each in sent:
            if ready:
                fault = Fault(text=f"the supervisor of its process died: {text}")
                self._end(each, Outcome(state=RunState.FAILED, reason=Reason.CRASH, fault=fault))
            else:
                self._end(each, _rejected(f"no process can be started for it: {text}"))

    def _end(self, sent: _Sent, outcome: Outcome) -> None:
        if sent.asked and outcome.state is not RunState.COMPLETED:
            outcome = Outcome(
                state=RunState.CANCELLED, reason=Reason.REQUESTED, fault=outcome.fault
            )
        if self._done is not None:
            self._done(sent.call, outcome)


def _outcome(message: Message) -> Outcome:
    """Return how a call ended, as the supervisor tells it."""
    if message["kind"] == "refused":
        return _rejected(str(message.get("text")))
    if message["kind"] == "crash":
        fault = Fault(text=str(message.get("text")))
        return Outcome(state=RunState.FAILED, reason=Reason.CRASH, fault=fault)
    if message.get("state") == RunState.COMPLETED:
        return Outcome(state=RunState.COMPLETED, value=message.get("value"), remote=True)
    said = message.get("fault")
    said = said if isinstance(said, dict) else {}
    trace, names = said.get("traceback"), said.get("names")
    fault = Fault(
        text=str(said.get("text", "it failed")),
        traceback=None if trace is None else str(trace),
        names=frozenset(map(str, names)) if isinstance(names, list) else frozenset(),
    )
    return Outcome(state=RunState.FAILED, reason=Reason.EXCEPTION, fault=fault)


def _rejected(text: str) -> Outcome:
    return Outcome(state=RunState.FAILED, reason=Reason.REJECTED, fault=Fault(text=text))
