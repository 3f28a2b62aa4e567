"""The command line as a person or a script uses it: real processes in a project's folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass
from textwrap import dedent
from typing import IO, TYPE_CHECKING, Any, Final, Self

from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PLUGIN: Final = "backgroundtask/taskplugins.py"
_OURS: Final = ("TASKRACK_", "BACKGROUND_", "LOG_", "NO_COLOR", "COLUMNS", "FORCE_COLOR")
_LIMIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is any
        """What it printed, as JSON."""
        return json.loads(self.out)

    @property
    def complaints(self) -> list[str]:
        """The lines of standard error."""
        return self.err.splitlines()


class Container:
    """A ``taskrack run`` under way, with what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=_collect, args=(stream, lines), daemon=True)
            for stream, lines in ((process.stdout, self.out), (process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the container by a signal and return its exit code."""
        if self.process.poll() is None:
            self.send(number)
        return self.wait()

    def wait(self, limit: float = _LIMIT) -> int:
        """Wait until the process has ended, and return its exit code."""
        code = self.process.wait(limit)
        for reader in self._readers:
            reader.join(limit)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


class CommandLine:
    """Calls ``taskrack`` in a project of its own.

    Args:
        root: The project's folder, which is the current one of every command.
        made: Whether it has a config.json already.
    """

    def __init__(self, root: Path, *, made: bool = False) -> None:
        self.root = root
        if not made:
            self.configure()

    def configure(self, **sections: object) -> Path:
        """Write config.json: *sections* over a ledger on disk and no log file."""
        data: dict[str, Any] = {
            "database": {"url": "sqlite:///./ledger.db", "synchronous": "normal"},
            "loggers": {"enable_file": False},
        }
        for name, value in sections.items():
            known = data.get(name)
            data[name] = (
                known | value if isinstance(known, dict) and isinstance(value, dict) else value
            )
        return self.write("config.json", json.dumps(data))

    def write(self, path: str, text: str) -> Path:
        """Write a file below the project, with its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    def plugin(self, text: str, path: str = PLUGIN) -> Path:
        """Write a plugin file."""
        return self.write(path, text)

    def call(self, *words: str, **variables: str) -> Done:
        """Run a command into pipes and wait for its end."""
        done = subprocess.run(
            self._command(words),
            cwd=self.root,
            env=self._environment(variables),
            capture_output=True,
            encoding="utf-8",
            timeout=_LIMIT,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def shell(self, line: str) -> Done:
        """Run a line of shell in which ``$T`` is the command."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.root,
            env=self._environment({"T": f"{sys.executable} -m manager"}),
            capture_output=True,
            encoding="utf-8",
            timeout=_LIMIT,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def terminal(self, *words: str, columns: int = 200) -> Done:
        """Run a command on a terminal; what it shows there is its output."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        with contextlib.closing(os.fdopen(ours, "rb", 0)) as shown:
            process = subprocess.Popen(
                self._command(words),
                cwd=self.root,
                env=self._environment({"TERM": "xterm-256color"}),
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                close_fds=True,
            )
            os.close(theirs)
            text = b"".join(_chunks(shown))
            return Done(process.wait(_LIMIT), text.decode(), "")

    def run(self, *words: str, **variables: str) -> Container:
        """Start a container and return once it has greeted."""
        container = Container(self.start("run", *words, **variables))
        try:
            eventually(
                lambda: (
                    any("Ctrl-C ends" in line for line in container.out)
                    or container.process.poll() is not None
                ),
                _LIMIT,
            )
        except AssertionError:
            container.process.kill()
            raise
        assert container.process.poll() is None, "".join(container.err)
        return container

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command into pipes and return at once."""
        return subprocess.Popen(
            self._command(words),
            cwd=self.root,
            env=self._environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a query finds in the ledger; nothing while there is no table yet."""
        connection = sqlite3.connect(f"file:{self.root / 'ledger.db'}?mode=ro", uri=True)
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    @staticmethod
    def _command(words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "manager", *words]

    @staticmethod
    def _environment(variables: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return kept | {"PYTHONDONTWRITEBYTECODE": "", **variables}


def _collect(stream: IO[str] | None, lines: list[str]) -> None:
    if stream is not None:
        with stream:
            lines.extend(iter(stream.readline, ""))


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what a terminal shows until its last writer has gone, which reads as an error."""
    while True:
        try:
            chunk = stream.read(65_536)
        except OSError:
            return
        if not chunk:
            return
        yield chunk
