"""Processes of the container that a check starts, stops in their tracks, and kills."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.tools import eventually

if TYPE_CHECKING:
    from types import TracebackType

    from tests.reliability.warm import Order

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 120.0
"""Seconds that a start or an end may take on a machine that does much else."""


class Container:
    """One process of the container.

    Args:
        pid: Its process, which is not a child of this one.
        said: What it told by now, shared with who listens.
    """

    def __init__(self, pid: int, said: set[tuple[str, int]]) -> None:
        self.pid = pid
        self._said = said
        self._handle: int | None = None
        self._lock = threading.Lock()  # or a number could be another process's already
        with suppress(ProcessLookupError):
            self._handle = os.pidfd_open(pid)
        self.is_paused = False

    @property
    def is_gone(self) -> bool:
        """Whether its process has ended."""
        with self._lock:
            if self._handle is None:
                return True
            poll = select.poll()  # knows no highest number of a file, as select does
            poll.register(self._handle, select.POLLIN)
            return bool(poll.poll(0))

    @property
    def is_ready(self) -> bool:
        """Whether it has started."""
        return ("ready", self.pid) in self._said

    @property
    def is_held(self) -> bool:
        """Whether it waits to be let go."""
        return ("held", self.pid) in self._said

    def ready(self) -> Self:
        """Wait until it has started.

        Raises:
            AssertionError: it ended instead, or takes for ever.
        """
        eventually(lambda: self.is_ready or self.is_gone, PATIENCE)
        assert self.is_ready, f"container {self.pid} ended at its start"
        return self

    def kill(self) -> None:
        """End it as ``kill -9`` does, and wait until its process is gone."""
        self.send(signal.SIGKILL)
        eventually(lambda: self.is_gone, PATIENCE)
        self.close()

    def pause(self) -> None:
        """Let it stand still where it is."""
        self.is_paused = True
        self.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on as if nothing had been."""
        self.is_paused = False
        self.send(signal.SIGCONT)

    def end(self) -> None:
        """Shut it down as an operator does, and wait until its process is gone."""
        self.send(signal.SIGTERM)
        eventually(lambda: self.is_gone, PATIENCE)
        self.close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process, and to no other that has its pid meanwhile."""
        with self._lock, suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)

    def close(self) -> None:
        """Let go of its process."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None


class Nodes:
    """Starts containers within milliseconds; when it is left, none of them is."""

    def __init__(self) -> None:
        self.started: list[Container] = []
        self._said: set[tuple[str, int]] = set()
        self._pids: list[int] = []
        self._heard = threading.Condition()
        self._ordering = threading.Lock()
        self._warm: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._warm = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.warm"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self._warm,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for container in self.started:
            container.send(signal.SIGKILL)
        warm = self._warm
        if warm is not None and warm.stdin is not None:
            with suppress(BrokenPipeError):
                warm.stdin.close()
            try:
                warm.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                warm.kill()
                warm.wait()
        eventually(lambda: all(each.is_gone for each in self.started), PATIENCE)
        for container in self.started:
            container.close()
        self.started.clear()

    def start(self, order: Order) -> Container:
        """Start a container; it may not be ready yet."""
        warm = self._warm
        assert warm is not None and warm.stdin is not None, "it has not been entered"  # noqa: PT018 - one state
        with self._ordering, self._heard:
            warm.stdin.write(order.line)
            warm.stdin.flush()
            assert self._heard.wait_for(lambda: self._pids or warm.poll() is not None, PATIENCE)
            assert self._pids, "the process that forks containers has ended"
            container = Container(self._pids.pop(0), self._said)
            for gone in [each for each in self.started if each.is_gone]:
                gone.close()
                self.started.remove(gone)
            self.started.append(container)
        return container

    def _listen(self, warm: subprocess.Popen[str]) -> None:
        assert warm.stdout is not None
        with warm.stdout:
            for line in warm.stdout:
                with self._heard:
                    for what, pid in json.loads(line).items():
                        if what == "pid":
                            self._pids.append(pid)
                        else:
                            self._said.add((what, pid))
                    self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()
