"""Messages between processes: JSON with its length in front, and nothing that is code."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

MESSAGE_LIMIT: Final = 4 * 2**20
"""No message has more bytes: what is returned and raised is cut to much less before."""
_HEAD: Final = struct.Struct("!I")
_CHUNK: Final = 65_536
Message = dict[str, Any]


class WireError(ValueError):
    """What came is no message."""


def packed(message: Mapping[str, Any]) -> bytes:
    """Return *message* as it travels.

    Raises:
        WireError: it is too long.
    """
    body = json.dumps(message, allow_nan=False).encode()
    if len(body) > MESSAGE_LIMIT:
        raise WireError(f"expected a message of at most {MESSAGE_LIMIT} bytes, got {len(body)}")
    return _HEAD.pack(len(body)) + body


def read(connection: socket.socket) -> Message | None:
    """Wait for the next message of a blocking socket; ``None`` is its end.

    Raises:
        WireError: what came is no message.
    """
    head = _exactly(connection, _HEAD.size)
    body = None if head is None else _exactly(connection, _length(head))
    return None if body is None else _opened(body)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        part = connection.recv(min(size - len(found), _CHUNK))
        if not part:
            return None
        found += part
    return bytes(found)


def _length(head: bytes | bytearray) -> int:
    (length,) = _HEAD.unpack(head)
    if length > MESSAGE_LIMIT:
        raise WireError(f"expected a message of at most {MESSAGE_LIMIT} bytes, got {length}")
    return int(length)


def _opened(body: bytes | bytearray) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError("expected JSON, got something else") from error
    if not isinstance(message, dict):
        raise WireError(f"expected an object, got {type(message).__name__}")
    return message


class Channel:
    """One end of a connection that is never waited for: what cannot be sent yet is kept.

    Args:
        connection: A connected stream socket; it is closed with the channel.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self._socket = connection
        self._in = bytearray()
        self._out = bytearray()
        self.is_over = False

    def fileno(self) -> int:
        """Return the number of the socket's file, for selectors."""
        return self._socket.fileno()

    @property
    def backlog(self) -> int:
        """How many bytes wait to be sent."""
        return len(self._out)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send *message* as far as the other end takes it now, the rest when it is flushed."""
        self._out += packed(message)
        self.flush()

    def flush(self) -> bool:
        """Send what waits; tell whether some of it went."""
        before = len(self._out)
        while self._out:
            try:
                sent = self._socket.send(self._out[: 4 * _CHUNK])
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # nobody is there any more, which reading will tell
                self._out.clear()
                break
            del self._out[:sent]
        return len(self._out) < before

    def receive(self, most: int = 16) -> list[Message]:
        """Return what has come; ``is_over`` tells that nothing more will.

        Args:
            most: How often to read, so that one that never ends holds up nobody.

        Raises:
            WireError: what came is no message; what came after it is lost.
        """
        for _ in range(most):
            try:
                part = self._socket.recv(4 * _CHUNK)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                part = b""
            if not part:
                self.is_over = True
                break
            self._in += part
        found: list[Message] = []
        while len(self._in) >= _HEAD.size:
            end = _HEAD.size + _length(self._in[: _HEAD.size])
            if len(self._in) < end:
                break
            body = self._in[_HEAD.size : end]
            del self._in[:end]
            found.append(_opened(body))
        return found

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
