"""A network that fails on demand: a TCP proxy on the loopback between a client and a server."""

from __future__ import annotations

import select
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

_CHUNK: Final = 65_536
_GLANCE: Final = 0.02
_RST: Final = struct.pack("ii", 1, 0)
_COMMIT: Final = b"COMMIT"


class Mode(Enum):
    """What becomes of bytes.

    ``HOLE`` keeps connections open and forwards nothing, new ones included. ``RESET`` breaks those
    that are open and refuses new ones. ``HALF`` forwards what the client says, and no answer.
    ``CUT`` closes each connection after *bytes* more. ``ANSWER_LOST`` forwards a COMMIT and breaks
    the connection before its answer; ``COMMIT_LOST`` breaks it before the COMMIT.
    """

    PASS = "pass"  # noqa: S105 - no password
    DELAY = "delay"
    HOLE = "hole"
    RESET = "reset"
    HALF = "half"
    CUT = "cut"
    ANSWER_LOST = "answer lost"
    COMMIT_LOST = "commit lost"


@dataclass(eq=False)
class _Pair:
    """One client, and the server as it sees it."""

    client: socket.socket
    server: socket.socket
    left: int | None = None
    stranded: bool = False

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            with suppress(OSError):
                end.close()


class Proxy:
    """Listens on :attr:`port` and forwards to a server, in the way that :attr:`mode` says.

    Args:
        target: The port of the server.

    Attributes:
        port: Where clients connect.
        caught: How many COMMITs were met in the modes that look for them.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.caught = 0
        self._mode = Mode.PASS
        self._delay = 0.0
        self._bytes = 0
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._ended = threading.Event()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def mode(self) -> Mode:
        """What becomes of bytes at the moment."""
        return self._mode

    def set(self, mode: Mode, *, delay: float = 0.0, bytes_left: int = 0) -> None:
        """Treat every connection so from now on.

        What a hole kept is forwarded when it ends, as by a network that heals.

        Args:
            mode: The way.
            delay: Seconds that each chunk waits, for ``DELAY``.
            bytes_left: After so many bytes a connection is closed, for ``CUT``.
        """
        self._delay, self._bytes = delay, bytes_left
        with self._lock:
            self._mode = mode
            pairs = list(self._pairs)
            for pair in pairs:
                pair.left = bytes_left if mode is Mode.CUT else None
        if mode is Mode.RESET:
            for pair in pairs:
                self._end(pair)

    def forget(self) -> None:
        """Break every connection that is open, and go on with new ones."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._end(pair)

    def strand(self) -> None:
        """Let the connections that are open lead nowhere; new ones are well."""
        with self._lock:
            for pair in self._pairs:
                pair.stranded = True

    def close(self) -> None:
        """Break every connection and listen no longer."""
        self._ended.set()
        self._listener.close()
        self.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        while self._mode is Mode.HOLE and not self._ended.is_set():
            self._ended.wait(_GLANCE)
        try:
            server = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            server = socket.socket()
            _Pair(client, server).close()
            return
        pair = _Pair(client, server)
        with self._lock:
            self._pairs.add(pair)
            pair.left = self._bytes if self._mode is Mode.CUT else None
        if self._mode is not Mode.RESET:
            with suppress(OSError, ValueError):
                while not self._ended.is_set() and self._forward(pair):
                    pass
        self._end(pair)

    def _end(self, pair: _Pair) -> None:
        with self._lock:
            self._pairs.discard(pair)
        pair.close()

    def _forward(self, pair: _Pair) -> bool:
        """Move what has come; tell whether the connection goes on."""
        mode = self._mode
        if mode is Mode.HOLE:
            self._ended.wait(_GLANCE)
            return True
        ready, _, _ = select.select([pair.client, pair.server], [], [], _GLANCE)
        for end in ready:
            chunk = end.recv(_CHUNK)
            if not chunk:
                return False
            while self._mode is Mode.HOLE and not self._ended.is_set():
                self._ended.wait(_GLANCE)
            if not self._passed(pair, end, chunk):
                return False
        return True

    def _passed(self, pair: _Pair, end: socket.socket, chunk: bytes) -> bool:
        mode, asks = self._mode, end is pair.client
        if mode is Mode.DELAY:
            self._ended.wait(self._delay)
        if pair.stranded or (mode is Mode.HALF and not asks):
            return True
        if asks and _COMMIT in chunk and mode in {Mode.ANSWER_LOST, Mode.COMMIT_LOST}:
            self.caught += 1
            if mode is Mode.ANSWER_LOST:
                pair.server.sendall(chunk)
                pair.server.recv(_CHUNK)
            return False
        if pair.left is not None:
            chunk, pair.left = chunk[: pair.left], pair.left - len(chunk)
        (pair.server if asks else pair.client).sendall(chunk)
        return pair.left is None or pair.left > 0
